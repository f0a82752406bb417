"""Parse, print, exit codes: one file per command group."""
