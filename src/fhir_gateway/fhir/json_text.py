"""JSON as FHIR wants it: decimals keep their digits (0.50 is not 0.5), and what is no JSON is refused."""

import hashlib
import json
import re
from decimal import Decimal
from typing import Any

import orjson

_DECIMAL = re.compile(rb"[:\[,]\s*-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)(?=[\s,\]}]|$)")
"""A number with a fraction: with what stands behind one, or the seconds of every time (12:30:05.5Z) would look like it."""


_HALF_OF_ID = 16


def parse(body: bytes | str) -> Any:
    """Return the JSON value in `body`, numbers with a fraction as Decimal; raises ValueError where it is no JSON."""
    try:
        value = orjson.loads(body)
        if _DECIMAL.search(body if isinstance(body, bytes) else body.encode()):
            # orjson has judged the text already; json only reads it once more for the digits.
            value = json.loads(body, parse_float=Decimal)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def dump(value: Any, *, ordered: bool = False, indented: bool = False) -> bytes:
    """Return `value` as compact JSON, keys sorted where `ordered`, on many lines where `indented`.

    Decimals keep their digits. Raises TypeError for what JSON cannot hold.
    """
    options = (orjson.OPT_SORT_KEYS if ordered else 0) | (orjson.OPT_INDENT_2 if indented else 0)
    return orjson.dumps(value, default=_decimal, option=options)


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a JSON value, 64 hex digits; equal values have equal ones, whatever the order of their keys."""
    return hashlib.sha256(dump(value, ordered=True)).hexdigest()


def fingerprint_and_id(value: Any) -> tuple[str, str]:
    """Return a JSON value's fingerprint and an id of 32 hex digits made of it."""
    text = orjson.dumps(value, default=_decimal, option=orjson.OPT_SORT_KEYS)
    whole = hashlib.sha256(text).hexdigest()
    return whole, whole[:_HALF_OF_ID] + hashlib.sha256(b'[%b,"id"]' % text).hexdigest()[:_HALF_OF_ID]


def _decimal(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is no JSON")
