"""The spool: what a run reads, compares and decides, on disk."""
