"""The searchset Bundle that a registry's search is answered with."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, urlencode

from fhir_gateway.domain.records import Resource
from fhir_gateway.registry.parameters import RegistrySearch, is_personal, to_pairs


def self_url(search: RegistrySearch, *, base: str) -> str:
    """Return a search's own address, without what names a person: addresses end up in logs."""
    shown = [(name, value) for name, value in to_pairs(search) if not is_personal(search.resource_type, name)]
    return f"{base}/{search.resource_type}?{urlencode(shown, quote_via=quote)}"


def searchset(
    matches: Sequence[Resource], others: Sequence[Resource], *, base: str, links: Mapping[str, str], total: int | None
) -> Resource:
    """Return the Bundle; `others` are included resources and warnings, `links` relation → URL ("" for none)."""
    entries = [_entry(one, "match", base) for one in matches]
    entries += [
        _entry(one, "outcome" if one["resourceType"] == "OperationOutcome" else "include", base) for one in others
    ]
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        bundle["total"] = total
    link = [{"relation": relation, "url": url} for relation, url in links.items() if url]
    return bundle | {"link": link} | ({"entry": entries} if entries else {})


def warnings(*, ignored: Iterable[str], replaced: Iterable[tuple[str, str]]) -> list[Resource]:
    """Return the OperationOutcome that tells what a puller might misunderstand, none where there is nothing."""
    issues = [
        _issue("not-supported", f"the search parameter {name} is not known here and was ignored") for name in ignored
    ]
    issues += [
        _issue(
            "informational",
            f"Patient/{before} was replaced by Patient/{now}: these are the doses of Patient/{now}, the same person",
        )
        for before, now in replaced
    ]
    return [{"resourceType": "OperationOutcome", "issue": issues}] if issues else []


def _entry(resource: Resource, mode: str, base: str) -> Resource:
    entry = {"resource": resource, "search": {"mode": mode}}
    return entry if mode == "outcome" else {"fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}", **entry}


def _issue(code: str, text: str) -> Resource:
    return {"severity": "warning", "code": code, "diagnostics": text}
