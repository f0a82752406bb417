"""Merges: their journal and jobs, and the history that proves them."""
