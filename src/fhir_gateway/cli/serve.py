"""`fhir-gateway serve`: API, registry endpoint and console of every environment of the working folder."""

import asyncio
import gc
import logging
import sys
from typing import Annotated

import typer

from fhir_gateway.cli import options
from fhir_gateway.settings import home

app = typer.Typer()


@app.command("serve")
def serve(
    port: options.Port = 8000,
    host: options.Host = "127.0.0.1",
    open_to_this_machine: Annotated[
        bool, typer.Option("--open-to-this-machine", help="/metrics and /docs need no key from this machine itself.")
    ] = False,
) -> None:
    """Serve the API, the registry endpoint and the console of every environment, until SIGTERM.

    It speaks HTTP: let a reverse proxy with TLS stand before it, and give its address as `[serving] public_url`.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("fhir_gateway").setLevel(logging.INFO)
    asyncio.run(_serve(host, port, open_to_this_machine=open_to_this_machine))


async def _serve(host: str, port: int, *, open_to_this_machine: bool) -> None:
    # Imported here: the other commands need no HTTP server.
    import uvicorn  # noqa: PLC0415

    from fhir_gateway.api.app import create_app, create_edge  # noqa: PLC0415
    from fhir_gateway.console.app import create_console  # noqa: PLC0415
    from fhir_gateway.embedded_server.http import AnnouncingServer, address_of, listen  # noqa: PLC0415
    from fhir_gateway.serving.environments import Serving  # noqa: PLC0415

    with listen(host, port) as listener:
        url = address_of(listener, host)
        async with Serving(home()) as serving:
            for fault in serving.policies()[1]:
                print(f"not served: {fault}", file=sys.stderr)
            pages = {"/console": create_console(serving)}
            app = create_app(serving, pages=pages, open_to_this_machine=open_to_this_machine)
            config = uvicorn.Config(
                create_edge(app, host=host),
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=10,
            )
            gc.freeze()  # pulls make objects by the thousand: what was built until here is not searched again for each
            going_on = asyncio.create_task(serving.go_on())
            server = AnnouncingServer(config, lambda: print(f"listening on {url}", flush=True))
            await server.serve(sockets=[listener])
            going_on.cancel()
