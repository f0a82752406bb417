"""The load road: read, compare, look up, decide, post, settle."""
