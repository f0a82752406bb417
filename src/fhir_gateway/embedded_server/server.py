"""The embedded FHIR R4 server: a request in, a response out, everything on disk before the answer."""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.answers import (
    RefusedError,
    Response,
    StorageError,
    json_response,
    outcome,
    refusal_response,
    too_deep,
)
from fhir_gateway.embedded_server.batches import answer_batch
from fhir_gateway.embedded_server.request import Request, parse_query, split_path
from fhir_gateway.embedded_server.routing import answer, is_write
from fhir_gateway.embedded_server.store import Session, Store, Stored
from fhir_gateway.embedded_server.transactions import answer_transaction

LARGEST_BODY = 64 * 1024 * 1024
BASE_PATH = "/fhir"
_SMALL_CACHE = "PRAGMA cache_size = -2000"
"""For whoever reads everything once: what was read is not needed again."""
_STORAGE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)
"""What the disk or other processes do to the data; any other error is a fault of the program."""


def _microseconds() -> int:
    return time.time_ns() // 1000


class EmbeddedServer:
    """A FHIR R4 server on one data folder; safe to use from several threads, and the folder from several processes."""

    def __init__(self, data_dir: Path, *, now: Callable[[], int] = _microseconds) -> None:
        """Open or create the folder (0700, files 0600); `now` gives microseconds since 1970.

        Raises GatewayError where the folder cannot be used or was written by a newer version.
        """
        try:
            self._store = Store(data_dir, now)
        except OSError as error:
            raise GatewayError(f"the data folder {data_dir} cannot be used: {error.strerror}") from error
        except sqlite3.DatabaseError as error:
            raise GatewayError(f"the data folder {data_dir} cannot be used: {error}") from error
        self._now = now

    def handle(  # noqa: PLR0913 - the parts of an HTTP request
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        base: str = "http://embedded/fhir",
    ) -> Response:
        """Answer one request.

        `path` is what follows the base, percent-encoded (`/Patient/1`, `""` for bundles), `query` what follows the `?`;
        `base` is the URL under which the client knows the server. Never raises for what a request holds; raises
        StorageError where the data cannot be written or read: the disk is full or fails, nothing was changed.
        """
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        try:
            check_size(len(body))
            request = Request(
                method=method.upper(),
                path=split_path(unquote(path)),
                parameters=parse_query(query),
                headers=lowered,
                base=base,
                body=body,
            )
            response = self._answer(request)
        except RefusedError as refused:
            response = refusal_response(refused)
        except RecursionError:
            response = refusal_response(too_deep())
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _STORAGE:
                raise
            response = _unavailable(error)
        return Response(response.status, response.headers) if method.upper() == "HEAD" else response

    def stored(self, resource_type: str, *, after: int, until: int, limit: int) -> list[Stored]:
        """Return the current versions whose stamps lie behind `after` up to `until`, in their order, at most `limit`."""
        sql = (
            "SELECT rid, type, id, version, updated, method, body FROM resource"
            " WHERE type = ? AND body IS NOT NULL AND updated > ? AND updated <= ? ORDER BY updated LIMIT ?"
        )
        with self._store.read() as session:
            session.connection.execute(_SMALL_CACHE)
            return [Stored(*row) for row in session.rows(sql, (resource_type, after, until, limit))]

    def stored_under(self, resource_type: str, ids: Sequence[str]) -> list[Stored]:
        """Return the current versions of the resources with these ids, those that are not deleted."""
        with self._store.read() as session:
            session.connection.execute(_SMALL_CACHE)
            found = (session.find(resource_type, one) for one in ids)
            return [one for one in found if one is not None and one.body is not None]

    def close(self) -> None:
        """Close the database; no request may follow."""
        self._store.close()

    def _answer(self, request: Request) -> Response:
        if not request.path:
            return self._answer_bundle(request)
        if is_write(request):
            with self._store.write() as session:
                return answer(session, request)
        with self._store.read() as session:
            response = answer(session, request)
        if session.pages:
            with self._store.write() as writing:
                for token, query in session.pages:
                    writing.save_page(token, query, self._now())
        return response

    def _answer_bundle(self, request: Request) -> Response:
        if request.method != "POST":
            raise RefusedError(405, "not-supported", "bundles are posted here; searches name a resource type")
        bundle = request.resource()
        answerers: dict[object, Callable[[Session, Request, Resource], Resource]] = {
            "batch": answer_batch,
            "transaction": answer_transaction,
        }
        kind = bundle.get("type")
        if bundle.get("resourceType") != "Bundle" or not isinstance(kind, str) or kind not in answerers:
            raise RefusedError(400, "invalid", "a Bundle of type batch or transaction is expected here")
        with self._store.write() as session:
            content = answerers[kind](session, request, bundle)
        return json_response(200, content)


def _unavailable(error: sqlite3.DatabaseError) -> Response:
    """Return 503 where other processes keep the data locked for too long; raises StorageError for everything else."""
    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
        text = (
            f"the embedded server's data cannot be written or read: {error}; run the command again when that is solved"
        )
        raise StorageError(text) from error
    words = "nothing was changed: other processes keep the data folder locked"
    return json_response(503, outcome("error", "transient", words), **{"Retry-After": "2"})


def check_size(size: int) -> None:
    """Raise RefusedError 413 for a body of too many bytes."""
    if size > LARGEST_BODY:
        raise RefusedError(413, "too-long", f"a body may have {LARGEST_BODY // 2**20} MiB")


def internal_error() -> Response:
    """Return the answer to a request over which the server itself stumbled."""
    return json_response(500, outcome("fatal", "exception", "the server stumbled over this request; its log says why"))
