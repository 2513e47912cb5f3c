"""What helps to test code that uses Tidemill, and adapters that extend it.

`memory` holds doubles of the seams that need no disk, `conformance` the suites that every adapter
passes, `samples` small valid records to feed them, and `strategies` any frame that a contract allows.
"""
