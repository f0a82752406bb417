"""Transient failures, told apart by who else they concern."""

from fhir_gateway.domain.errors import TransientServerError


class BusyError(TransientServerError):
    """The server lives, but this request did not succeed yet; others may.

    `done` is false where the server certainly did nothing of it.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, done: bool = True) -> None:
        self.done = done
        super().__init__(message, retry_after=retry_after)


class WebPageError(BusyError):
    """A success that is no FHIR, though the server speaks it elsewhere: a proxy's or a login's page.

    It may pass by itself, but hardly: asked again a few times only, then it is permanent.
    """


class UnreadableError(BusyError):
    """Rubbish where FHIR has been answered before, or an answer that does not fit what was sent."""


class OutageError(TransientServerError):
    """The server gave no answer, or something before it said that it is gone: it concerns every request.

    `sent` is false where the request certainly did not reach the server.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, sent: bool = True) -> None:
        self.sent = sent
        super().__init__(message, retry_after=retry_after)


class ServerGoneError(TransientServerError):
    """The server has been down, or of no use, for longer than one has patience with that; not tried again."""
