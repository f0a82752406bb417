"""Transient failures, told apart by who else they concern."""

from fhir_gateway.domain.errors import TransientServerError


class BusyError(TransientServerError):
    """The server lives, but this request did not succeed yet; others may."""


class OutageError(TransientServerError):
    """The server gave no answer, or something before it said that it is gone: it concerns every request."""


class ServerGoneError(TransientServerError):
    """The server has been down for longer than the environment's patience; not tried again."""
