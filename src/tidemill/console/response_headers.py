"""Headers of every answer of the console: a page runs only its own scripts, and no other site frames it."""

from __future__ import annotations

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# Pages belong to who is logged in; a browser may keep them if it asks whether they are still true.
PRIVATE = "private, no-cache"
# Names of these files change with their content.
FOR_EVER = "public, max-age=31536000, immutable"
