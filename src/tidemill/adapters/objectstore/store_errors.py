"""Say what an object store, or the library that asks it, found wrong, and what to do; no URL of a request.

Those of some stores have a signature that is as good as a password.
"""

from __future__ import annotations

import re

from obstore.exceptions import BaseError, PermissionDeniedError

STORE_ERRORS = (BaseError, OSError)
_CHECK = "check its address, the network, and the credentials in the environment"
_NO_BUCKETS = ("NoSuchBucket", "ContainerNotFound")
_NO_BUCKET = "there is no such bucket; create it, or change the URL"
_DENIED = "access is denied; check what the credentials in the environment allow"
# What is wrong and what to do, by what the library or the store says.
_KNOWN = {
    **dict.fromkeys(_NO_BUCKETS, _NO_BUCKET),
    "AccessDenied": _DENIED,
    "SignatureDoesNotMatch": "the secret key in the environment isn't that of the access key; correct it",
    "InvalidAccessKeyId": "the store doesn't know the access key in the environment; correct it",
    "403 Forbidden": _DENIED,
    "builder error": "its address isn't https://; set AWS_ALLOW_HTTP=true in the environment to use http://",
}
# A key with parts such as `..`, which the library refuses to list.
_ODD_KEY = re.compile(
    r'Encountered object with invalid path.*?[Pp]ath "(.*?)"(?: contained|: )', re.DOTALL
)


def describe_store_error(error: BaseException) -> str:
    """The cause, and after a semicolon what to do."""
    text = str(error)
    if odd := _ODD_KEY.match(text):
        return (
            f"the key {odd[1]!r} has an empty part, '.', '..' or a control character; rename it, or change "
            "the path to one without such keys"
        )
    first = text.partition("\n")[0].partition(": <?xml")[0].rpartition(" - ")[2].strip()
    return next((said for mark, said in _KNOWN.items() if mark in text), f"{first}; {_CHECK}")


def is_absence(error: BaseException) -> bool:
    """Whether a store says that it doesn't have an object, though it has the bucket."""
    return isinstance(error, FileNotFoundError) and not any(
        mark in str(error) for mark in _NO_BUCKETS
    )


def is_denial(error: BaseException) -> bool:
    """Whether a store refuses to give one object."""
    return isinstance(error, PermissionDeniedError)
