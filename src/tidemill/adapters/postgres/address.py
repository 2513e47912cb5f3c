"""The address of a shared home: a PostgreSQL database, and a schema in it."""

from __future__ import annotations

import re
from dataclasses import field
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.url_syntax import ENCODING_ADVICE, url_ambiguity

_DEFAULT_SCHEMA = "tidemill"
# What PostgreSQL needs no quotes for, so that every tool finds it by the same name.
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Parameters that say where the database is, and not how it is reached.
_PLACES = ("host", "hostaddr", "port", "dbname", "service")


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAddress:
    """What the driver is given (`dsn`, which may have a password), and the schema of the ledger's tables.

    `place` is a URL of it for messages, without credentials and other parameters.
    """

    dsn: str = field(repr=False)
    schema: str
    place: str

    @property
    def folder(self) -> str:
        """The name of the folder that has what one machine keeps of the home."""
        parts = urlsplit(self.dsn)
        options = dict(parse_qsl(parts.query))
        where = [parts.netloc.rpartition("@")[2], parts.path, self.schema]
        where += [options.get(name, "") for name in _PLACES]
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", parts.path.strip("/")) or "postgresql"
        return f"{name[:40]}-{sha256(chr(10).join(where).encode()).hexdigest()[:12]}"


def parse_address(text: str, place: str, *, with_password: bool) -> HomeAddress:
    """Take the URL of a home apart; UsageError, which shows no credentials, for one that can't be used.

    `place` is that of the setting. A password is refused unless `with_password`, as in a variable.
    """
    if fault := _fault(text):
        raise UsageError(f"{place} home is no URL of a PostgreSQL database: it has {fault}")
    parts = urlsplit(text)
    options = parse_qsl(parts.query, keep_blank_values=True)
    names = [name for name, _ in options]
    if not with_password and (parts.password is not None or {"password", "sslpassword"} & {*names}):
        raise UsageError(
            f"{place} home has a password, which would be read with the settings: put it into PGPASSWORD or "
            'a password file, or the whole URL into a variable (home = "env:NAME")'
        )
    schema = dict(options).get("schema", _DEFAULT_SCHEMA)
    if len(names) > len({*names}):
        raise UsageError(f"{place} home has a parameter twice: {max(names, key=names.count)}")
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_") or schema == "information_schema":
        raise UsageError(
            f"{place} home has the schema {schema!r}: use lower-case letters, digits and _ (at most 63), and "
            "none of PostgreSQL's own"
        )
    # As it is written: libpq reads `+` as such.
    kept = [each for each in parts.query.split("&") if each.partition("=")[0] != "schema"]
    dsn = parts._replace(query="&".join(kept)).geturl()
    shown = [(name, value) for name, value in options if name in (*_PLACES, "schema")]
    query = f"?{urlencode(shown, safe='/', quote_via=quote)}" if shown else ""
    host = parts.netloc.rpartition("@")[2]
    return HomeAddress(dsn=dsn, schema=schema, place=f"postgresql://{host}{parts.path}{query}")


def _fault(text: str) -> str:
    if ambiguity := url_ambiguity(text):
        return f"{ambiguity}; {ENCODING_ADVICE}"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "a host that can't be read"
    if not text.startswith(f"{parts.scheme}://"):
        return "no // after its scheme: use postgresql://HOST/DATABASE"
    if not (parts.netloc or parts.path.strip("/") or parts.query):
        return "no host and no database: use postgresql://HOST/DATABASE"
    return "" if "#" not in text else "a #"
