"""Compare versions of a contract: the changes, and the producers and consumers that they affect."""
