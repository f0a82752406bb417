"""`/{environment}/fhir/Group`: the groups of people that can be exported."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.responses import Response

from fhir_gateway.api.answers import FhirJson, RequestRefusedError
from fhir_gateway.api.documented import OF_AN_ENVIRONMENT
from fhir_gateway.api.negotiation import is_lenient
from fhir_gateway.api.registry import FORM, LetIn, Visit, is_form, packed, pairs_of, read_elements, refused_search
from fhir_gateway.api.registry_models import FhirBundle, FhirResource
from fhir_gateway.registry.bundles import warnings
from fhir_gateway.registry.enriching import subset
from fhir_gateway.registry.groups import group_resource
from fhir_gateway.registry.parameters import (
    DEFAULT_COUNT,
    LARGEST_COUNT,
    SearchProblemError,
    elements_of,
    shown_name,
)
from fhir_gateway.serving.registry.endpoint import CURSOR

router = APIRouter(prefix="/{environment}/fhir/Group", tags=["bulk export"], responses=OF_AN_ENVIRONMENT)

_PARAMETERS = frozenset({"_id", "_count", "_format", "_pretty", CURSOR})


@router.get("", response_class=FhirJson, response_model=FhirBundle, summary="Which groups can be exported?")
async def search_groups(let_in: LetIn) -> Response:
    """List the groups: the districts where people live, the clinics that gave them doses; `_id` picks some."""
    return await _searched(let_in, form=b"")


@router.post(
    "/_search",
    response_class=FhirJson,
    response_model=FhirBundle,
    summary="Which groups can be exported? Parameters in the body",
)
async def search_groups_by_post(let_in: LetIn) -> Response:
    """List the groups."""
    if not is_form(let_in.request):
        raise RequestRefusedError(415, f"the body of a search must be {FORM}")
    return await _searched(let_in, form=await let_in.request.body())


@router.get("/{group_id}", response_class=FhirJson, response_model=FhirResource, summary="A group")
async def read_group(group_id: str, let_in: LetIn) -> Response:
    """Return a group with what makes a member and how many there are; its members are what an export gives."""
    let_in.check_scope("Group", "r")
    try:
        elements = elements_of("Group", read_elements(let_in))
    except SearchProblemError as error:
        raise refused_search(error) from None
    exports = let_in.environment.exports
    size = (await exports.groups.all()).get(group_id)
    if size is None:
        raise RequestRefusedError(404, "there is no such Group")
    return packed(let_in.request, subset(group_resource(group_id, size, clinics=exports.groups.clinics), elements))


async def _searched(let_in: Visit, *, form: bytes) -> Response:
    let_in.check_scope("Group", "s")
    raw = b"&".join(filter(None, (let_in.request.url.query.encode(), form)))
    pairs = pairs_of(raw, "a search")
    unknown = [shown_name(name) for name, _ in pairs if name not in _PARAMETERS]
    if unknown and not is_lenient(let_in.request):
        raise RequestRefusedError(400, "Groups can be searched by _id here", code="not-supported")
    given = dict(pairs)
    count = given.get("_count", str(DEFAULT_COUNT))
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        raise RequestRefusedError(400, "_count is a whole number", code="value")
    wanted = set(given["_id"].split(",")) if "_id" in given else None
    exports = let_in.environment.exports
    found = {one: size for one, size in (await exports.groups.all()).items() if wanted is None or one in wanted}
    page = sorted(one for one in found if one > given.get(CURSOR, ""))[: min(int(count), LARGEST_COUNT) + 1]
    chosen = page[: int(count)]
    entries = [
        {
            "fullUrl": f"{let_in.base}/Group/{one}",
            "resource": group_resource(one, found[one], clinics=exports.groups.clinics),
            "search": {"mode": "match"},
        }
        for one in chosen
    ]
    entries += [{"resource": one, "search": {"mode": "outcome"}} for one in warnings(ignored=unknown, replaced=())]
    own: dict[str, str] = {name: given[name] for name in ("_id", "_count") if name in given}
    links = [{"relation": "self", "url": _url(let_in, own)}]
    if len(page) > len(chosen) > 0:
        links.append({"relation": "next", "url": _url(let_in, own | {CURSOR: chosen[-1]})})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
    return packed(let_in.request, bundle | ({"entry": entries} if entries else {}))


def _url(let_in: Visit, parameters: Mapping[str, str]) -> str:
    return f"{let_in.base}/Group" + (f"?{urlencode(parameters, quote_via=quote)}" if parameters else "")
