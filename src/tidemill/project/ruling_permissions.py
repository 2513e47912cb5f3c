"""What rulings on quarantined rows need; to take one back needs what that one needed."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.contracts.row_ruling import Disposition
from tidemill.governance.permissions import Permission

RULING_PERMISSIONS: Mapping[Disposition, Permission] = {
    Disposition.RELEASE: Permission.RELEASE_ROWS,
    Disposition.REPLACE: Permission.CORRECT_ROWS,
    Disposition.DROP: Permission.DROP_ROWS,
}
