"""Synthetic rows that a contract allows: `rows` of them, made of `values` of each column."""
