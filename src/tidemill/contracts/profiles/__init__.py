"""What is in the columns of a partition, in a few kilobytes: made, merged and compared without the rows."""
