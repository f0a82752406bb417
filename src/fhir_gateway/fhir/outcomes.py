"""A server's OperationOutcome in plain words: short, and without what could be a patient's data."""

import re
from collections.abc import Iterator
from typing import Any

from fhir_gateway.fhir.validation import resource_types

LONGEST = 300
_MOST_ISSUES = 5
# Servers quote with whatever their language likes: straight, curly, angle quotes and backticks.
_OPEN, _CLOSE = "\"'\u201c\u2018\u00ab`", "\"'\u201d\u2019\u00bb`"
_QUOTED = re.compile(rf"([{_OPEN}])(?:(?![{_CLOSE}]).){{1,200}}[{_CLOSE}]")
_DIGITS = re.compile(r"\d[\d .\-]{6,}\d")
_DATE = re.compile(r"\b(?:19|20)\d{2}-\d{2}-\d{2}\b")
_TOKEN_VALUE = re.compile(r"(?<=\|)[^\s\]\"'&,]+")
_PATH = re.compile(r"([A-Z][A-Za-z]*)(?:\.[A-Za-z\[\]0-9()]+)*|[a-z]+(?:[A-Z][a-z]+)+(?:\[\d+\])?")
_SERIOUS = ("fatal", "error")


def describe_outcome(outcome: Any) -> str:
    """Return the gravest issues of an OperationOutcome as one line of at most LONGEST characters; "" where there is none.

    Quoted values, long runs of digits, dates and what follows a `|` are masked with `…`: servers quote what they refuse.
    """
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return ""
    issues = [issue for issue in _list(outcome.get("issue")) if isinstance(issue, dict)]
    grave = [issue for issue in issues if issue.get("severity") in _SERIOUS] or issues
    words = dict.fromkeys(text for text in map(_describe_issue, grave) if text)
    return shorten("; ".join(list(words)[:_MOST_ISSUES]))


def mask(text: str) -> str:
    """Return a text with everything masked that could be a patient's data; names of types and elements stay."""
    text = _QUOTED.sub(_mask_quoted, text)
    text = _DATE.sub("…", text)
    text = _TOKEN_VALUE.sub("…", text)
    return _DIGITS.sub("…", text)


def _mask_quoted(found: re.Match[str]) -> str:
    name = _PATH.fullmatch(found[0][1:-1])
    harmless = name and (name[1] is None or name[1] in resource_types())
    return found[0] if harmless else f"{found[1]}…{found[0][-1]}"


def shorten(text: str) -> str:
    """Return a text as one line of at most LONGEST characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def _describe_issue(issue: dict[str, Any]) -> str:
    details = issue.get("details")
    text = _text(issue.get("diagnostics")) or (
        _text(details.get("text")) or _coding(details) if isinstance(details, dict) else ""
    )
    where = ", ".join(_places(issue))
    words = mask(text or _text(issue.get("code")))
    return f"{words} (at {where})" if where and where not in words else words


def _places(issue: dict[str, Any]) -> Iterator[str]:
    for place in (_list(issue.get("expression")) or _list(issue.get("location")))[:3]:
        if isinstance(place, str) and re.fullmatch(r"/?[A-Za-z][A-Za-z0-9.:\[\]()/_]{0,120}", place):
            yield place


def _coding(details: dict[str, Any]) -> str:
    for coding in _list(details.get("coding")):
        if isinstance(coding, dict):
            return _text(coding.get("display")) or _text(coding.get("code"))
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
