"""Contracts as documents of the Open Data Contract Standard (ODCS) 3, and back."""
