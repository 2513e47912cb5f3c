"""Helpers for testing code that uses Tidemill, and adapters that extend it.

`doubles` holds in-memory adapters, `suites` the conformance tests that every adapter passes, `records`
small valid records for them, and `strategies` generates frames that satisfy a contract.
"""
