"""Profile the columns of partitions in a few kilobytes, mergeable and comparable without the rows."""
