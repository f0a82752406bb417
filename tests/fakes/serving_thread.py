"""An embedded server over HTTP, from another thread of the test's process."""

import threading
from contextlib import closing, contextmanager

import uvicorn

from fhir_gateway.embedded_server.http import AnnouncingServer, EmbeddedApp, listen
from fhir_gateway.embedded_server.server import BASE_PATH, EmbeddedServer

PATIENCE = 300
"""Seconds after which what hangs is given up."""


@contextmanager
def embedded_server_over_http(folder):
    """Serve a folder on a free port of the loopback address; gives the base URL."""
    ready = threading.Event()
    with closing(EmbeddedServer(folder)) as server, listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(EmbeddedApp(server), log_level="warning", access_log=False, lifespan="off")
        running = AnnouncingServer(config, ready.set)
        thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
        thread.start()
        assert ready.wait(PATIENCE), "the server did not start"
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{BASE_PATH}"
        finally:
            running.should_exit = True
            thread.join()
