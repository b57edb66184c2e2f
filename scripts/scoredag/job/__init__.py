"""What a job is: its log, its record, its place in the cache, and what it is made of."""
