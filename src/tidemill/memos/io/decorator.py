"""`tm.memo`: memoise an expensive function per row, such as an embedding or a language model."""

from __future__ import annotations

import inspect
import platform
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeAlias

import polars as pl

from tidemill.core.callsite import caller
from tidemill.core.counts import plural
from tidemill.core.errors import DeclarationError, Fault, UsageError
from tidemill.memos.identity import is_probing, memo_digest, placeholder
from tidemill.memos.io.lookup import MemoSession, current_session
from tidemill.workflow.memo import MemoFunction, MemoPrice, parse_price, parse_rate
from tidemill.workflow.retry_policy import Retries

IntoColumn: TypeAlias = "str | pl.Expr"

# The environment that the results of code depend on: Python version and platform.
_HERE = ("{}.{}".format(*sys.version_info[:2]), platform.machine(), sys.platform)


class Memo:
    """A memoised function; call it with columns: `reviews.select(vector=embed("text"))`."""

    __slots__ = ("_function", "_recipe")

    def __init__(self, costly: MemoFunction) -> None:
        self._function = costly
        self._recipe = ""

    def __call__(self, *columns: IntoColumn) -> pl.Expr:
        """Return a Polars expression of the function's value for each row of the given columns.

        `columns` are names or expressions, in the order of the function's arguments. Rows with a stored
        result aren't computed, nor are rows that the query filters out. The column gets the function's
        name.
        """
        names = self._function.arguments
        if len(columns) != len(names):
            raise UsageError(
                f"{self._function.name} takes {plural(len(names), 'column')} ({', '.join(names)}), "
                f"not {len(columns)}"
            )
        parts = [
            (pl.col(column) if isinstance(column, str) else column).alias(name)
            for name, column in zip(names, columns, strict=True)
        ]
        gives, recipe = self._function.gives, self.__tidemill_digest__()
        if is_probing():
            made = placeholder(recipe, parts, gives)
        else:
            call = _Call(self._function, recipe, current_session())
            made = pl.struct(parts).map_batches(call, return_dtype=gives, is_elementwise=True)
        return made.alias(self._function.function.__name__)

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself, without memoisation."""
        return self._function.function

    def __tidemill_digest__(self) -> str:
        """Return the digest of the function for fingerprints of stages that call it.

        Raises DeclarationError if its code can't be fingerprinted.
        """
        if not self._recipe:
            self._recipe = memo_digest(self._function, _HERE)
        return self._recipe

    def __repr__(self) -> str:
        function = self._function
        return f"<memo {function.name}({', '.join(function.arguments)}) -> {function.gives}>"


class _Call:
    """The function that Polars calls on batches of rows."""

    def __init__(self, costly: MemoFunction, recipe: str, desk: MemoSession) -> None:
        self._costly = costly
        self._recipe = recipe
        self._desk = desk

    def __call__(self, rows: pl.Series) -> pl.Series:
        if not len(rows):
            return pl.Series(rows.name, [], self._costly.gives)
        columns = [rows.struct.field(name) for name in self._costly.arguments]
        return self._desk.values(self._costly, self._recipe, columns).alias(rows.name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Queries are only serialised to compare them; they are never deserialised.
        return str, (f"memo {self._costly.name} {self._recipe}",)


def memo(  # noqa: PLR0913 - a declaration, said in keywords
    *,
    gives: Any,
    version: str = "",
    model: str = "",
    price: str | float = 0.0,
    batch: int = 100,
    concurrency: int = 8,
    rate: str | None = None,
    retries: Retries | None = None,
) -> Callable[[Callable[..., Any]], Memo]:
    """Memoise an expensive function per row: each distinct row is computed once and stored.

    The function gets a list of values for each argument and returns a list of as many values. An
    exception in place of a value means that the row has none. It may return `(values, tokens)` to count
    tokens, per row or in total. It runs in threads and shouldn't use Polars.

    - `gives`: the Polars type of the values.
    - `version`: stands for the function's code; changing it computes all rows again.
    - `model`: the name of the model that answers; changing it computes all rows again.
    - `price`: money per row, or text such as `"0.5/1k rows"` or `"0.02/1M tokens"`.
    - `batch`: the maximum number of rows per call.
    - `concurrency`: the maximum number of calls at a time in a step.
    - `rate`: the maximum rate of calls over all processes, such as `"60/m"`.
    - `retries`: when a failed call is retried, `tm.retries(...)`.

    Raises DeclarationError for invalid values.
    """
    where = caller(1)
    faults: list[str] = []
    fee = _parse(faults, "price", lambda: parse_price(price)) or MemoPrice()
    every_s = _parse(faults, "rate", lambda: parse_rate(rate)) or 0.0
    kind = _type(gives)
    if kind is None:
        faults.append(f"gives={gives!r} is not a Polars type such as pl.Float64")
    numbers: dict[str, Any] = {"batch": batch, "concurrency": concurrency}
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            faults.append(f"{name}={value!r} is not a whole number of at least 1")
    texts: dict[str, Any] = {"version": version, "model": model}
    for name, text in texts.items():
        if not isinstance(text, str):
            faults.append(f"{name}={text!r} is not text such as '1'")
    _raise_faults(faults, where)

    def declare(function: Callable[..., Any]) -> Memo:
        return Memo(
            MemoFunction(
                function=function,
                name=_name(function, where),
                arguments=_arguments(function, where, named=bool(version) and not model),
                gives=kind,
                version=version,
                model=model,
                price=fee,
                batch=batch,
                concurrency=concurrency,
                min_interval_s=every_s,
                retries=retries or Retries(),
                place=where,
            )
        )

    return declare


def _parse(faults: list[str], name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ValueError as error:
        faults.append(f"{name}={error}")
        return None


def _type(gives: Any) -> pl.DataType | None:
    try:
        return pl.Series(dtype=gives).dtype if gives is not None else None
    except (TypeError, ValueError):
        return None


def _name(function: Any, where: str) -> str:
    _raise_faults(
        [] if isinstance(function, FunctionType) else [f"it takes a def, not {function!r}"], where
    )
    module = function.__module__
    if module == "__main__":
        # Scripts count by their file, because all of them are called __main__.
        module = where.rpartition(":")[0].removesuffix(".py")
    return f"{module}.{function.__qualname__}"


def _arguments(function: Any, where: str, *, named: bool) -> tuple[str, ...]:
    """Return the argument names of a function. `named`: it is identified by its version alone."""
    parameters = inspect.signature(function).parameters.values()
    faults = [
        f"argument {item.name} of {function.__name__} can't take a column: it must be positional, "
        "without a default"
        for item in parameters
        if item.kind not in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
        or item.default is not item.empty
    ]
    if not parameters:
        faults.append(f"{function.__name__} has no arguments; it needs one for each column")
    if named and function.__code__.co_freevars:
        closed = ", ".join(function.__code__.co_freevars)
        faults.append(
            f"{function.__name__} closes over {closed}, which version= doesn't identify; use model= for that"
        )
    _raise_faults(faults, where)
    return tuple(item.name for item in parameters)


def _raise_faults(faults: list[str], where: str) -> None:
    if faults:
        raise DeclarationError("tm.memo", [Fault(message=fault, where=where) for fault in faults])
