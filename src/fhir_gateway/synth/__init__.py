"""Invented clinics with the truth beside them: exports to try settings and to measure matching on.

Its words, names and errors are its own tables: it knows nothing of what identity, people and mapping know, or a
benchmark on its data would prove itself.
"""
