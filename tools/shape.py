"""Hold a package to its bars: `shape.py PACKAGE_DIR` prints every figure, and exits 1 on a miss.

Lines of a function leave out its decorators and its docstring. An annotation may stand at every
parameter but self and cls, and at the return. A cycle is a ring of imports between modules of the
package: "at load" sees the imports that run when a module loads, "at all" also those under
TYPE_CHECKING and inside functions. kloc is a thousand lines that hold code.
"""

import ast
import graphlib
import io
import statistics
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST = {
    "module lines, median": 250,
    "module lines, max": 500,
    "folders deep, max": 3,
    "function lines, median": 10,
    "function lines, p95": 45,
    "function lines, max": 100,
    "mccabe, p95": 9,
    "functions of over 7 parameters, %": 3,
    "import cycles at load": 0,
    "import cycles at all": 0,
    # Each keeps modules from every start of a process; none hides a cycle, for which all imports count.
    "imports of the package in functions": 50,
    "broad excepts per kloc": 1.0,
    "type ignores per kloc": 2.0,
}
LEAST = {"annotated, %": 98}

TYPE_IGNORES = ("type: ignore", "pyright: ignore")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom
BRANCHING = (
    *(ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While),
    *(ast.ExceptHandler, ast.comprehension, ast.match_case),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One parsed source file; `name` is dotted, `folder` is the package that holds it."""

    name: str
    folder: str
    depth: int
    text: str
    tree: ast.Module


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoped:
    """A node with where it stands: in a class body, in a function, under TYPE_CHECKING."""

    node: ast.AST
    in_class: bool = False
    in_function: bool = False
    checking: bool = False


@dataclass(slots=True, kw_only=True)
class Counts:
    """What is summed over all modules."""

    lengths: list[int] = field(default_factory=list)
    complexities: list[int] = field(default_factory=list)
    crowded: int = 0
    slots: int = 0
    annotated: int = 0
    broad: int = 0
    ignores: int = 0
    local_imports: int = 0
    code_lines: int = 0


def read_modules(package: Path) -> list[Module]:
    """Every module of the package, parsed; raises SyntaxError on one that Python can't read."""
    modules = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        parts = path.relative_to(package.parent).with_suffix("").parts
        own = parts[:-1] if path.stem == "__init__" else parts
        modules.append(
            Module(
                name=".".join(own),
                folder=".".join(parts[:-1]),
                depth=len(parts) - 1,
                text=text,
                tree=ast.parse(text, filename=str(path)),
            )
        )
    return modules


def scoped_nodes(tree: ast.Module) -> Iterator[Scoped]:
    """All nodes below the module, each with its surroundings."""
    waiting = [Scoped(node=tree)]
    while waiting:
        above = waiting.pop()
        inside = above.in_function or isinstance(above.node, Function)
        guarded = above.checking or (
            isinstance(above.node, ast.If) and "TYPE_CHECKING" in ast.unparse(above.node.test)
        )
        for node in ast.iter_child_nodes(above.node):
            here = Scoped(
                node=node,
                in_class=isinstance(above.node, ast.ClassDef),
                in_function=inside,
                checking=guarded,
            )
            waiting.append(here)
            yield here


def body_length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def complexity(function: Function) -> int:
    """McCabe's number: one, one a branch, one a further operand of `and` and `or`."""
    nodes = list(ast.walk(function))
    operands = sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))
    return 1 + operands + sum(isinstance(node, BRANCHING) for node in nodes)


def count_function(function: Function, in_class: bool, counts: Counts) -> None:
    """Add the function's length, complexity, parameters and annotations."""
    counts.lengths.append(body_length(function))
    counts.complexities.append(complexity(function))
    given = function.args
    named = [*given.posonlyargs, *given.args]
    bound = in_class and not any("staticmethod" in ast.unparse(d) for d in function.decorator_list)
    named = [*(named[1:] if bound else named), *given.kwonlyargs]
    counts.crowded += len(named) > 7
    named += [rest for rest in (given.vararg, given.kwarg) if rest is not None]
    counts.slots += len(named) + 1
    counts.annotated += sum(one.annotation is not None for one in named)
    counts.annotated += function.returns is not None


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether the handler takes any exception there is."""
    caught = handler.type
    types = caught.elts if isinstance(caught, ast.Tuple) else [caught] if caught else []
    return not types or any(ast.unparse(t) in ("Exception", "BaseException") for t in types)


def count_tokens(text: str, counts: Counts) -> None:
    """Add the lines that hold code (a docstring is code here) and the type-ignores."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in blank | {tokenize.ENDMARKER}:
            lines.update(range(token.start[0], token.end[0] + 1))
        elif token.type == tokenize.COMMENT:
            counts.ignores += any(mark in token.string for mark in TYPE_IGNORES)
    counts.code_lines += len(lines)


def imported(node: Import, module: Module, names: set[str]) -> set[str]:
    """The package's own modules that the statement brings in."""
    if isinstance(node, ast.Import):
        targets = {alias.name for alias in node.names}
    else:
        base = node.module or ""
        if node.level:
            above = module.folder.split(".")
            base = ".".join([*above[: len(above) - node.level + 1], *filter(None, [base])])
        submodules = {f"{base}.{alias.name}" for alias in node.names} & names
        targets = submodules | ({base} if len(submodules) < len(node.names) else set())
    return targets & names - {module.name}


def count_module(module: Module, names: set[str], counts: Counts) -> tuple[set[str], set[str]]:
    """Add the module; returns what it imports at load, and what it imports at all."""
    at_load: set[str] = set()
    at_all: set[str] = set()
    count_tokens(module.text, counts)
    for here in scoped_nodes(module.tree):
        if isinstance(here.node, Function):
            count_function(here.node, here.in_class, counts)
        elif isinstance(here.node, ast.ExceptHandler):
            counts.broad += catches_all(here.node)
        elif isinstance(here.node, Import):
            targets = imported(here.node, module, names)
            at_all |= targets
            at_load |= set() if here.in_function or here.checking else targets
            counts.local_imports += bool(targets) and here.in_function
    return at_load, at_all


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """One ring of imports, first module repeated at the end; empty when there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def at_share(values: Iterable[int], share: float) -> int:
    """The value that `share` of all values lie below; 0 when there is none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0


def measure(package: Path) -> tuple[dict[str, float], list[str]]:
    """The figures that have bars, by name, and a line for each import cycle that was found."""
    modules = read_modules(package)
    names = {module.name for module in modules}
    counts = Counts()
    imports = {module.name: count_module(module, names, counts) for module in modules}
    at_load = cycle_in({name: both[0] for name, both in imports.items()})
    at_all = cycle_in({name: both[1] for name, both in imports.items()})
    lines = [module.text.count("\n") for module in modules]
    functions = counts.lengths
    kloc = counts.code_lines / 1000 or 1.0
    figures = {
        "module lines, median": statistics.median(lines or [0]),
        "module lines, max": max(lines, default=0),
        "folders deep, max": max((module.depth for module in modules), default=0),
        "function lines, median": statistics.median(functions or [0]),
        "function lines, p95": at_share(functions, 0.95),
        "function lines, max": max(functions, default=0),
        "mccabe, p95": at_share(counts.complexities, 0.95),
        "functions of over 7 parameters, %": 100 * counts.crowded / (len(functions) or 1),
        "annotated, %": 100 * counts.annotated / counts.slots if counts.slots else 100,
        "import cycles at load": len(at_load) > 0,
        "import cycles at all": len(at_all) > 0,
        "imports of the package in functions": counts.local_imports,
        "broad excepts per kloc": counts.broad / kloc,
        "type ignores per kloc": counts.ignores / kloc,
    }
    rings = [f"cycle: {' -> '.join(ring)}" for ring in (at_load or at_all,) if ring]
    return figures, rings


def judge(figures: dict[str, float]) -> tuple[list[str], bool]:
    """A line for each figure with its bar, and whether all bars are kept."""
    lines, kept = [], True
    for name, figure in figures.items():
        bar = MOST.get(name, LEAST.get(name, 0))
        held = figure <= bar if name in MOST else figure >= bar
        kept = kept and held
        relation = "at most" if name in MOST else "at least"
        lines.append(f"{'' if held else 'MISSED '}{name}: {figure:g} ({relation} {bar:g})")
    return lines, kept


def main(package: Path) -> int:
    """Print the figures; 1 when a bar is missed, or when there is nothing to measure."""
    if not (package / "__init__.py").is_file():
        print(f"{package} is not a package: it has no __init__.py", file=sys.stderr)
        return 1
    figures, rings = measure(package.resolve())
    lines, kept = judge(figures)
    print("\n".join([*lines, *rings]))
    return 0 if kept else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: shape.py PACKAGE_DIR")
    sys.exit(main(Path(sys.argv[1])))
