"""Which scopes a client gets: what it asks for, narrowed to what it was granted; reading only.

SMART App Launch 2.2, "Scopes and launch context": v2 `system/Type.rs`, v1 `system/Type.read`; both are understood,
v2 is answered.
"""

import re
from collections.abc import Iterable

from fhir_gateway.domain.registry import Scope
from fhir_gateway.fhir.validation import resource_types

SERVED_TYPES = ("Group", "Immunization", "Organization", "Patient", "Provenance")
"""What a registry can pull."""

EVERY_TYPE = "*"

_SCOPE = re.compile(r"system/(?P<type>\*|[A-Za-z]+)\.(?P<permissions>[a-z*]+)")
_READING = {"read": "rs", "r": "r", "s": "s", "rs": "rs"}


class InvalidScopeError(ValueError):
    """A scope that is not granted to anybody here; the message says which and why, for the client's developers."""


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Read scopes that are parted by blanks; raises InvalidScopeError for none, unknown and writing ones."""
    scopes = tuple(sorted({_parse(one) for one in text.split()}))
    if not scopes:
        raise InvalidScopeError("no scope is named; ask for system/Immunization.rs system/Patient.rs")
    return scopes


def narrow(requested: Iterable[Scope], granted: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return what of the requested scopes is granted, each type by its name; generic clients ask for every type.

    Raises InvalidScopeError where nothing is left.
    """
    allowed = _by_type(granted)
    wanted = _by_type(requested)
    narrowed = {one: permissions & allowed.get(one, set()) for one, permissions in wanted.items()}
    scopes = tuple(Scope(one, _in_order(chosen)) for one, chosen in sorted(narrowed.items()) if chosen)
    if not scopes:
        raise InvalidScopeError("none of these scopes is granted to this client")
    return scopes


def allows(scopes: Iterable[Scope], resource_type: str, permission: str) -> bool:
    """Say whether scopes let a client read (`r`) or search (`s`) a type."""
    return permission in _by_type(scopes).get(resource_type, set())


def _parse(text: str) -> Scope:
    found = _SCOPE.fullmatch(text)
    if not found:
        raise InvalidScopeError(f"{text[:80]!r} is no system scope; they look like system/Immunization.rs")
    resource_type, permissions = found["type"], _READING.get(found["permissions"], "")
    if resource_type != EVERY_TYPE and resource_type not in resource_types():
        raise InvalidScopeError(f"{resource_type[:60]} is no FHIR resource type")
    if not permissions:
        raise InvalidScopeError(f"{text[:80]}: a registry reads (r) and searches (s), nothing else")
    return Scope(resource_type, permissions)


def _by_type(scopes: Iterable[Scope]) -> dict[str, set[str]]:
    allowed: dict[str, set[str]] = {}
    for scope in scopes:
        types = SERVED_TYPES if scope.resource_type == EVERY_TYPE else (scope.resource_type,)
        for one in types:
            allowed.setdefault(one, set()).update(scope.permissions)
    return allowed


def _in_order(permissions: set[str]) -> str:
    return "".join(one for one in "rs" if one in permissions)
