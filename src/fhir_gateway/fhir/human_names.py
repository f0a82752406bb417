"""A HumanName as text, of whatever quality: another system's server wrote it."""

from typing import Any

from fhir_gateway.domain.records import Resource


def name_text(name: Resource) -> str:
    """Return a HumanName's text, else its given names and family name.

    A list of primitives holds null where only an extension stands (`_given`), so what is no text is passed over.
    """
    text = name.get("text")
    if isinstance(text, str) and text:
        return text
    return " ".join(word for word in (*texts(name.get("given")), name.get("family")) if isinstance(word, str) and word)


def texts(values: Any) -> list[str]:
    """Return the texts of a list of primitives; none where it is no list."""
    return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []
