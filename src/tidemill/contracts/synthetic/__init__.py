"""Generate synthetic rows that a contract allows, from values of each column."""
