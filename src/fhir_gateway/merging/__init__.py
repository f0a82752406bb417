"""Decides what a merge changes and what undoing it restores; pure."""
