"""`registry`: who may pull, with which keys, and what was pulled."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.printing import print_json, print_table
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.registry import Pull, Recall, RegistryClient
from fhir_gateway.settings import EMBEDDED, home, load_environment

app = typer.Typer(
    help="Registries that pull from `serve`: their access, and what they were given.", no_args_is_help=True
)
client = typer.Typer(help="The clients that may pull.", no_args_is_help=True)
keys = typer.Typer(help="The gateway's own keys, which sign access tokens.", no_args_is_help=True)
app.add_typer(client, name="client")
app.add_typer(keys, name="keys")


@client.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the client is called in lists.")],
    jwks: Annotated[
        str,
        typer.Option(metavar="FILE|URL", help="The client's public keys (a JWKS): a file, or its https:// address."),
    ],
    scope: Annotated[
        str, typer.Option(metavar="SCOPES", help="What it may pull, as SMART scopes.")
    ] = "system/Immunization.rs system/Patient.rs",
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Register a client and print its id, alone: with it and its own key it gets tokens (SMART Backend Services)."""
    from fhir_gateway.registry.scopes import InvalidScopeError, parse_scopes  # noqa: PLC0415 - only here

    name = options.shown_name(name)
    try:
        scopes = parse_scopes(scope)
    except InvalidScopeError as error:
        raise UsageError(f"--scope: {error}") from None
    url, text = _keys(jwks)
    made = RegistryClient(str(uuid.uuid4()), name, scopes, datetime.now(UTC), jwks_url=url, jwks=text)
    with bootstrap.ledger_of(environment) as ledger, ledger.transaction():
        ledger.registry_clients.add(made)
    if as_json:
        print_json(_client(made))
    else:
        print(made.id)


@client.command("list")
def list_clients(environment: options.Environment = EMBEDDED, as_json: options.Json = False) -> None:
    """List the clients, revoked ones too."""
    with bootstrap.ledger_of(environment) as ledger:
        clients = ledger.registry_clients.all()
    if as_json:
        print_json([_client(one) for one in clients])
        return
    rows = [
        (one.id, one.name, " ".join(map(str, one.scopes)), _time(one.registered), _time(one.revoked)) for one in clients
    ]
    print_table(("id", "name", "scope", "added (UTC)", "revoked (UTC)"), rows)


@client.command()
def revoke(
    client_id: Annotated[
        str, typer.Argument(metavar="ID", help="The client's id, as `registry client list` shows it.")
    ],
    environment: options.Environment = EMBEDDED,
) -> None:
    """Revoke a client; its tokens open nothing from this moment on."""
    with bootstrap.ledger_of(environment) as ledger, ledger.transaction():
        if not ledger.registry_clients.revoke(client_id, datetime.now(UTC)):
            raise UsageError("there is no such client that is not revoked already; `registry client list` shows them")
    print(f"client {client_id} is revoked")


@keys.command()
def rotate(
    environment: options.Environment = EMBEDDED,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="End the tokens of the key before at once: it has leaked.")
    ] = False,
) -> None:
    """Make a new signing key; tokens that are alive stay so for their five minutes. Prints the new key's id."""
    from fhir_gateway.serving.registry.keys import RegistryKeys  # noqa: PLC0415 - brings cryptography with it

    print(RegistryKeys(load_environment(environment, home()).folder).rotate(datetime.now(UTC), withdraw=withdraw).id)


@keys.command("list")
def list_keys(environment: options.Environment = EMBEDDED, as_json: options.Json = False) -> None:
    """List the signing keys whose tokens may be alive; the first one signs."""
    from fhir_gateway.serving.registry.keys import RegistryKeys  # noqa: PLC0415 - brings cryptography with it

    found = RegistryKeys(load_environment(environment, home()).folder).all(datetime.now(UTC))
    if as_json:
        print_json([{"id": one.id, "made": one.made, "retired": one.retired} for one in found])
        return
    print_table(("id", "made (UTC)", "retired (UTC)"), [(one.id, _time(one.made), _time(one.retired)) for one in found])


@app.command()
def pulls(
    client_id: Annotated[str, typer.Option("--client", metavar="ID", help="Of this client only.")] = "",
    patient: Annotated[
        str,
        typer.Option(metavar="ID", help="Those that told of this Patient, and exports, which tell of all."),
    ] = "",
    limit: Annotated[
        int, typer.Option(min=0, max=options.MOST, metavar="N", help="Show the newest N only; 0: all.")
    ] = 100,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """List who pulled what, when and how much, the newest first."""
    with bootstrap.ledger_of(environment) as ledger:
        found = ledger.pulls.of_patient(patient) if patient else ledger.pulls.all(client=client_id, limit=limit or None)
        names = {one.id: one.name for one in ledger.registry_clients.all()}
    found = [one for one in found if client_id in ("", one.request.client)][: limit or None]
    if as_json:
        print_json([_pull(one, names) for one in found])
        return
    rows = [
        (
            one.id,
            _time(one.request.at),
            names.get(one.request.client, one.request.client),
            one.request.kind,
            one.request.resource_type,
            one.count,
        )
        for one in found
    ]
    print_table(("pull", "at (UTC)", "client", "kind", "type", "resources"), rows)


@app.command()
def recalls(
    client_id: Annotated[str, typer.Option("--client", metavar="ID", help="Of this client only.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Those too that a newer pull has settled.")] = False,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """List which clients still have a version that was taken back, since when they have it, and for how long.

    The FHIR server is asked first which doses were taken back there; without an answer, what is known is listed.
    """
    from fhir_gateway.bootstrap.registry_recalls import withdrawn_in  # noqa: PLC0415 - only this asks the server

    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        if problem := withdrawn_in(gateway):
            progress.say(f"the FHIR server was not asked what was taken back there itself: {problem}")
        found = gateway.ledger.pulls.outstanding(client=client_id, everything=everything)
        names = {one.id: one.name for one in gateway.ledger.registry_clients.all()}
    now = datetime.now(UTC)  # not before what was just found out
    if as_json:
        print_json([_recall(one, names, now) for one in found])
        return
    rows = [
        (
            names.get(one.client, one.client),
            one.resource,
            one.version,
            _time(one.pulled),
            one.reason,
            _time(one.noted),
            _lasting(one, now),
        )
        for one in found
    ]
    print_table(("client", "resource", "version", "pulled (UTC)", "why", "taken back (UTC)", "outstanding"), rows)


def _keys(jwks: str) -> tuple[str, str]:
    """Return (URL, "") or ("", text) of a client's keys, checked."""
    from fhir_gateway.key_sets.fetching import keys_url_problem  # noqa: PLC0415 - brings httpx with it
    from fhir_gateway.registry.client_keys import UnusableKeysError, read_keys  # noqa: PLC0415

    if jwks.startswith(("http://", "https://")):
        if problem := keys_url_problem(jwks):
            raise UsageError(f"--jwks: {problem}")
        return jwks, ""
    try:
        text = Path(jwks).read_text("utf-8")
        read_keys(text)
    except OSError as error:
        raise UsageError(f"--jwks: {jwks} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--jwks: {jwks} cannot be read: it is no UTF-8 text") from None
    except UnusableKeysError as error:
        raise UsageError(f"--jwks: {error}") from None
    return "", text


def _client(one: RegistryClient) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "scope": " ".join(map(str, one.scopes)),
        "jwks_url": one.jwks_url or None,
        "registered": one.registered,
        "revoked": one.revoked,
    }


def _pull(one: Pull, names: Mapping[str, str]) -> dict[str, Any]:
    asked = one.request
    return {
        "pull": one.id,
        "at": asked.at,
        "client": asked.client,
        "name": names.get(asked.client, ""),
        "kind": asked.kind,
        "type": asked.resource_type,
        "resources": one.count,
        "address": asked.address,
    }


def _recall(one: Recall, names: Mapping[str, str], now: datetime) -> dict[str, Any]:
    return {
        "client": one.client,
        "name": names.get(one.client, ""),
        "resource": one.resource,
        "version": one.version,
        "pulled": one.pulled,
        "reason": one.reason,
        "taken_back": one.noted,
        "settled": one.settled,
        "outstanding_seconds": None if one.settled else round((now - one.noted).total_seconds()),
    }


def _lasting(one: Recall, now: datetime) -> str:
    if one.settled:
        return f"settled {_time(one.settled)}"
    hours = (now - one.noted).total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours > 48 else f"{hours:.1f} hours"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
