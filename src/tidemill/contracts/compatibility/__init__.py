"""The review of a changed contract: what differs, whom it concerns, and whether its version says so."""
