"""Check a mapping's elements against the R4B models: unknown names, lists that are none. Slow; `load` does not need it."""

from typing import Any

from fhir_gateway.domain.errors import ConfigurationProblem
from fhir_gateway.fhir.compile_schema import Element, elements_of
from fhir_gateway.mapping.document import Faults, Node, did_you_mean, parse_yaml
from fhir_gateway.mapping.values import is_value

_TRUTH = "true or false"
_TYPES = {
    "boolean": (_TRUTH, 0),
    "integer": ("a whole number", -(2**31)),
    "unsignedInt": ("a whole number from 0 on", 0),
    "positiveInt": ("a whole number from 1 on", 1),
}
"""What a constant of a type has to be, and its least value."""


def check_elements(text: str, file: str) -> tuple[ConfigurationProblem, ...]:
    """Return what of a mapping's elements FHIR R4 does not have; parts that are no elements are the compiler's to tell.

    Raises ConfigurationError where the text is no YAML.
    """
    root = parse_yaml(text, file)
    faults = Faults(file)
    _check(_under(root, "patient"), "Patient", "Patient", faults)
    _check(_under(_under(root, "immunization"), "resource"), "Immunization", "Immunization", faults)
    return tuple(faults.problems)


def _under(node: Node, key: str) -> Node:
    child = node.value.get(key) if node.is_mapping else None
    return child if child is not None and child.is_mapping and not is_value(child) else Node({}, node.place)


def _check(node: Node, path: str, kind: str, faults: Faults) -> None:
    elements: dict[str, Element] = {element.name: element for element in elements_of(kind)}
    for name, child in node.value.items():
        place = node.keys[name]
        element = elements.get(name)
        if element is None:
            faults.add(place, f"{path} has no element '{name}' in FHIR R4", did_you_mean(name, elements))
            continue
        if element.repeats and not child.is_list:
            faults.add(place, f"{path}.{name} is a list in FHIR R4", "begin its items with a dash")
        if child.is_list and not element.repeats:
            faults.add(place, f"{path}.{name} is no list in FHIR R4", "leave the dash out")
        for item in _items(child):
            _check_item(item, f"{path}.{name}", element, faults)


def _items(node: Node) -> list[Any]:
    return node.value if node.is_list else [node]


def _check_item(item: Node, path: str, element: Element, faults: Faults) -> None:
    if is_value(item):
        constant = item.value.get("constant")
        if constant is not None and "through" not in item.value:
            _check_constant(constant, path, element, faults)
        return
    if element.primitive:
        _check_constant(item, path, element, faults)
    if item.is_mapping and element.primitive:
        faults.add(
            item.place, f"{path} is a plain value in FHIR R4 ({element.kind})", "write {column: …} or a constant"
        )
    elif item.is_mapping:
        _check(item, path, element.kind, faults)
    elif not element.primitive:
        faults.add(item.place, f"{path} is no plain value in FHIR R4, but a {element.kind}")


def _check_constant(constant: Node, path: str, element: Element, faults: Faults) -> None:
    """Note a constant that is none of the element's codes or of another type; a variable of `for_each` is not known yet."""
    written = constant.text
    if constant.is_mapping or "{" in written:
        return
    if element.codes and written not in element.codes:
        faults.add(constant.place, f"{path} has no code '{written}' in FHIR R4", did_you_mean(written, element.codes))
    wanted, least = _TYPES.get(element.kind, ("", 0))
    is_truth = isinstance(constant.value, bool)
    fits = (
        is_truth if wanted == _TRUTH else not is_truth and isinstance(constant.value, int) and constant.value >= least
    )
    if wanted and not fits:
        faults.add(constant.place, f"{path} is {wanted} in FHIR R4, not '{written}'")
