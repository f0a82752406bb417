"""`access`: the keys of people and programs that use what is served."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.printing import print_json, print_table
from fhir_gateway.domain.access import AccessKey, Role
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.serving.access import new_key
from fhir_gateway.settings import EMBEDDED

app = typer.Typer(help="Access keys for what `serve` offers: who may read, who may merge.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who gets the key; it stands in the history of merges.")],
    role: Annotated[
        Role, typer.Option(metavar="|".join(Role), help="operator: reads, merges, undoes. auditor: reads.")
    ],
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Make a key and print it, alone and only this once: the gateway keeps nothing but its digest."""
    key, text = new_key(name=options.shown_name(name), role=role, at=datetime.now(UTC))
    with bootstrap.ledger_of(environment) as ledger, ledger.transaction():
        ledger.access.add(key)
    if as_json:
        print_json({**_shown(key), "key": text})
    else:
        print(text)


@app.command("list")
def list_keys(environment: options.Environment = EMBEDDED, as_json: options.Json = False) -> None:
    """List the keys, revoked ones too."""
    with bootstrap.ledger_of(environment) as ledger:
        keys = ledger.access.all()
    if as_json:
        print_json([_shown(key) for key in keys])
        return
    rows = [
        (
            key.id,
            key.role,
            key.name,
            f"{key.created:%Y-%m-%d %H:%M}",
            f"{key.revoked:%Y-%m-%d %H:%M}" if key.revoked else "",
        )
        for key in keys
    ]
    print_table(("id", "role", "name", "added (UTC)", "revoked (UTC)"), rows)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `access list` shows it.")],
    environment: options.Environment = EMBEDDED,
) -> None:
    """Revoke a key; a running `serve` takes it no longer from this moment on."""
    with bootstrap.ledger_of(environment) as ledger, ledger.transaction():
        if not ledger.access.revoke(key_id, datetime.now(UTC)):
            raise UsageError(f"no key {key_id} that is not revoked already; `access list` shows them")
    print(f"key {key_id} is revoked")


def _shown(key: AccessKey) -> dict[str, Any]:
    return {"id": key.id, "name": key.name, "role": key.role, "created": key.created, "revoked": key.revoked}
