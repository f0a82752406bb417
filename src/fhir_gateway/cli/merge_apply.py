"""`merge plan|apply|undo`: duplicates become one Patient, and are taken apart again."""

import typer

app = typer.Typer()
