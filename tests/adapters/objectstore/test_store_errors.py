"""What object stores say is wrong, in words that say what to do, and without URLs of requests."""

from __future__ import annotations

import pytest
from obstore.exceptions import BaseError, GenericError, InvalidPathError, PermissionDeniedError

from tidemill.adapters.objectstore.store_errors import (
    describe_store_error,
    is_absence,
    is_denial,
)

ODD = "Encountered object with invalid path: "
ADVICE = "rename it, or change the path to one without such keys"
GET = "Error performing GET https://h/b?sig=secret in 1.2ms"
NOT_FOUND = "Server returned non-2xx status code: 404 Not Found: <?xml <Code>{}</Code>"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            GenericError(f"Generic S3 error: {GET} - {NOT_FOUND.format('NoSuchBucket')}\n\nDebug"),
            "there is no such bucket; create it, or change the URL",
        ),
        (
            FileNotFoundError(f"Object at x not found: {GET} - {NOT_FOUND.format('ContainerNotFound')}"),
            "there is no such bucket; create it, or change the URL",
        ),
        (
            PermissionDeniedError(f"{GET} - Server returned non-2xx status code: 403 Forbidden"),
            "access is denied; check what the credentials in the environment allow",
        ),
        (
            GenericError(f"{GET}, after 4 retries, timeout: 8s  - HTTP error: error sending request\n\nD"),
            "HTTP error: error sending request; check its address, the network, and the credentials in the "
            "environment",
        ),
        (
            OSError("timed out"),
            "timed out; check its address, the network, and the credentials in the environment",
        ),
        (
            InvalidPathError(f'{ODD}Path "a//b" contained empty path segment'),
            f"the key 'a//b' has an empty part, '.', '..' or a control character; {ADVICE}",
        ),
        (
            InvalidPathError(f'{ODD}Error parsing Path "a\nb": Encountered illegal character'),
            f"the key 'a\\nb' has an empty part, '.', '..' or a control character; {ADVICE}",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong(error: Exception, words: str) -> None:
    assert describe_store_error(error) == words


@pytest.mark.parametrize(
    ("error", "absent", "denied"),
    [
        (FileNotFoundError(NOT_FOUND.format("NoSuchKey")), True, False),
        (FileNotFoundError(NOT_FOUND.format("NoSuchBucket")), False, False),
        (PermissionDeniedError("403 Forbidden"), False, True),
        (GenericError("404"), False, False),
    ],
)
def test_what_is_about_one_object(error: BaseError | OSError, absent: bool, denied: bool) -> None:
    assert (is_absence(error), is_denial(error)) == (absent, denied)
