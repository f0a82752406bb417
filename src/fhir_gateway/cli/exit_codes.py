"""The exit codes, the same ones of every command; 0 is for what is done."""

COULD_NOT_FINISH = 1
WRONG_USAGE = 2
LEFT_OPEN = 3
"""Finished, but something is left to somebody: rows, decisions, conflicts, failed cases, faults that were found."""
