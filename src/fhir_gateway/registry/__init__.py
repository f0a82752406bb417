"""Decides what a registry may pull and how: parameters, cursors, scopes; pure."""
