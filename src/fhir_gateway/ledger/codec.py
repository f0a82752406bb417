"""Compressed JSON for the ledger's payload columns."""

import zlib
from typing import Any

import orjson

from fhir_gateway.domain.identity import (
    ComparedPair,
    Comparison,
    Evidence,
    Grade,
    PersonAction,
    PersonDecision,
    Veto,
)
from fhir_gateway.domain.records import Dose, MissingDose, Problem
from fhir_gateway.fhir import json_text


def pack(value: Any) -> bytes:
    """Return a JSON value, compressed."""
    return zlib.compress(json_text.dump(value), 1)  # a server's resources hold Decimals


def unpack(payload: bytes) -> Any:
    """Return what pack() was given, decimals with their digits."""
    return json_text.parse(zlib.decompress(payload))


def pack_doses(doses: tuple[Dose, ...], missing: tuple[MissingDose, ...]) -> bytes:
    """Return a record's doses, compressed."""
    return pack(
        {
            "doses": [list(dose) if dose.assumed else [dose.name, dose.resource] for dose in doses],
            "missing": [[dose.name, dose.problem] for dose in missing],
        }
    )


def unpack_doses(payload: bytes) -> tuple[tuple[Dose, ...], tuple[MissingDose, ...]]:
    """Return what pack_doses() was given."""
    body = unpack(payload)
    return (
        tuple(Dose(*dose) for dose in body["doses"]),
        tuple(MissingDose(name, Problem(**problem)) for name, problem in body["missing"]),
    )


def unpack_given(payload: bytes) -> tuple[Dose, ...]:
    """Return the doses that pack_doses() was given, to be looked at only: decimals lose their digits, which saves half the time."""
    return tuple(Dose(*dose) for dose in orjson.loads(zlib.decompress(payload))["doses"])


def pack_decision(decision: PersonDecision) -> bytes:
    """Return a decision, compressed."""
    return pack(decision)


def unpack_decision(payload: bytes) -> PersonDecision:
    """Return what pack_decision() was given."""
    body = unpack(payload)
    return PersonDecision(
        members=tuple(body["members"]),
        action=PersonAction(body["action"]),
        grade=Grade(body["grade"]),
        reason=body["reason"],
        text=body["text"],
        suggestion=body["suggestion"],
        patient_id=body["patient_id"],
        candidates=tuple(body["candidates"]),
        pairs=tuple(map(_pair, body["pairs"])),
        proposals=tuple((left, right) for left, right in body["proposals"]),
        waiting=tuple(body.get("waiting", ())),  # not kept at first
        waiting_keys=tuple(body.get("waiting_keys", ())),
        torn=body.get("torn", False),
        replaced=tuple(body.get("replaced", ())),
    )


def _pair(body: dict[str, Any]) -> ComparedPair:
    return ComparedPair(
        left=body["left"],
        right=body["right"],
        comparison=_comparison(body["comparison"]),
        left_with=tuple(body.get("left_with", ())),  # not kept at first
        right_with=tuple(body.get("right_with", ())),
        by=body.get("by", ""),
    )


def _comparison(body: dict[str, Any]) -> Comparison:
    return Comparison(
        evidence=tuple(Evidence(**item) for item in body["evidence"]),
        vetoes=tuple(Veto(**item) for item in body["vetoes"]),
        weight=body["weight"],
        grade=Grade(body["grade"]),
    )
