"""`merge`: duplicates found, merged, undone, and every merge provable; each file of commands is one part of the group."""

import typer

from fhir_gateway.cli import merge_apply, merge_find, merge_history, merge_part, merge_proofs, merge_undo

app = typer.Typer(no_args_is_help=True, help="People who stand several times on the server become one, provably.")

# The help shows the commands in this order.
app.add_typer(merge_find.app)
app.add_typer(merge_apply.app)
app.add_typer(merge_undo.app)
app.add_typer(merge_part.app)
app.add_typer(merge_history.app)
app.add_typer(merge_proofs.app)
