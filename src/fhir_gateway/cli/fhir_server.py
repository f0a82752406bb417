"""`fhir-gateway fhir-server`: the embedded FHIR R4 server alone."""

from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway.cli import options
from fhir_gateway.settings import home

app = typer.Typer()


@app.command("fhir-server")
def fhir_server(
    port: options.Port = 8080,
    host: options.Host = "127.0.0.1",
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data folder; default: .fhir-gateway/embedded in the working folder."),
    ] = None,
) -> None:
    """Serve the embedded FHIR R4 server at /fhir, until SIGTERM."""
    # Imported here: the other commands need no HTTP server.
    from fhir_gateway.embedded_server.http import serve  # noqa: PLC0415
    from fhir_gateway.embedded_server.server import EmbeddedServer  # noqa: PLC0415

    server = EmbeddedServer(data or home() / ".fhir-gateway" / "embedded")
    try:
        serve(server, host=host, port=port, announce=lambda url: print(f"listening on {url}", flush=True))
    finally:
        server.close()
