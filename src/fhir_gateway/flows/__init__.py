"""The roads: the only code that knows the order of things."""
