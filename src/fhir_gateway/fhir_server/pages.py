"""One page of search results, read with suspicion."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhir_gateway.domain.errors import UntrustedAnswerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir_server.address import next_link

_SERIOUS = frozenset({"warning", "error", "fatal"})


@dataclass(frozen=True, slots=True)
class Page:
    """The matches and included resources of a page; `total` is None and `next_link` "" where the server names none."""

    matches: tuple[Resource, ...]
    included: tuple[Resource, ...]
    total: int | None
    next_link: str


def parse_page(bundle: Any, *, resource_type: str, asked: Iterable[str]) -> Page:
    """Return what a searchset holds.

    Raises UntrustedAnswerError where it is no searchset, carries a warning, or its `self` link shows that a
    parameter of `asked` was dropped: a server that ignores a question answers another one.
    """
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise UntrustedAnswerError(f"The server answered a search for {resource_type} with something that is no Bundle")
    entries = [] if bundle.get("entry") is None else bundle["entry"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UntrustedAnswerError(f"The server answered a search for {resource_type} with a broken Bundle")
    _check_self_link(_self_link(bundle), resource_type, asked)
    matches: list[Resource] = []
    included: list[Resource] = []
    for entry in entries:
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            raise UntrustedAnswerError(
                f"The server answered a search for {resource_type} with an entry without content"
            )
        mode = entry["search"].get("mode") if isinstance(entry.get("search"), dict) else None
        if mode == "outcome" or resource.get("resourceType") == "OperationOutcome":
            _check_outcome(resource, resource_type)
        elif mode == "include":
            included.append(resource)
        elif resource.get("resourceType") == resource_type and isinstance(resource.get("id"), str):
            matches.append(resource)
        else:
            raise UntrustedAnswerError(f"The server answered a search for {resource_type} with something else")
    total = bundle.get("total")
    counted = total if isinstance(total, int) and not isinstance(total, bool) else None
    return Page(tuple(matches), tuple(included), counted, next_link(bundle))


def _self_link(bundle: dict[str, Any]) -> str:
    links = bundle.get("link")
    found = (link for link in (links if isinstance(links, list) else []) if isinstance(link, dict))
    return next(
        (link["url"] for link in found if link.get("relation") == "self" and isinstance(link.get("url"), str)), ""
    )


def _check_self_link(link: str, resource_type: str, asked: Iterable[str]) -> None:
    """Compare the parameters that the server says it used; a link that names none (they are personal) says nothing."""
    try:
        query = urlsplit(link).query
    except ValueError:
        return
    used = {name.split(":")[0] for name, _ in parse_qsl(query, keep_blank_values=True)}
    if not any(not name.startswith("_") for name in used):
        return
    missing = sorted({name.split(":")[0] for name in asked if not name.startswith("_")} - used)
    if missing:
        raise UntrustedAnswerError(
            f"The server dropped the search parameter {', '.join(missing)} of {resource_type} (its self link says so)"
        )


def _check_outcome(outcome: Resource, resource_type: str) -> None:
    issues = outcome.get("issue")
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, dict) and issue.get("severity") in _SERIOUS:
            code = issue.get("code")
            named = f" ({code})" if isinstance(code, str) and code.replace("-", "").isalpha() else ""
            raise UntrustedAnswerError(
                f"The server warned about a search for {resource_type}{named}: it may have ignored a parameter"
            )
