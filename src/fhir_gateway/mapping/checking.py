"""Check a mapping's elements against the R4B models: what would make every row's resource invalid. Slow; `load` does not need it.

Unknown names, lists that are none, elements that are missing or stand there twice, values of another type. And columns of the
key that nothing else names and that are nearly others, which most likely are mistyped.
"""

from collections.abc import Iterator
from typing import Any

from rapidfuzz import fuzz, process

from fhir_gateway.domain.errors import ConfigurationProblem
from fhir_gateway.fhir.compile_schema import Element, elements_of
from fhir_gateway.mapping.compiler import FUNCTIONS
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
_NO_TEXT = {
    **{kind: wanted for kind, (wanted, _) in _TYPES.items()},
    "decimal": "a number",
    "date": "a date",
    "dateTime": "a date",
}
"""What a column's text never is by itself."""
_A_SLIP = 85
"""How much alike two columns are, of 100, of which the one is the other mistyped."""
_SET_BY_THE_GATEWAY = frozenset({"patient"})


def check_elements(text: str, file: str) -> tuple[ConfigurationProblem, ...]:
    """Return what of a mapping's elements FHIR R4 does not have; parts that are no elements are the compiler's to tell.

    Raises ConfigurationError where the text is no YAML.
    """
    root = parse_yaml(text, file)
    faults = Faults(file)
    _check(_under(root, "patient"), "Patient", "Patient", faults)
    _check(_under(_under(root, "immunization"), "resource"), "Immunization", "Immunization", faults)
    _check_key(root, faults)
    return tuple(faults.problems)


def _check_key(root: Node, faults: Faults) -> None:
    """Note columns of the key that stand nowhere else, but for a slip."""
    if not root.is_mapping:
        return
    others = {node.text for name, child in root.value.items() if name != "key" for node in _columns(child)}
    key = root.value.get("key")
    for part in key.value if key is not None and key.is_list else ():
        for node in _columns(part) if part.is_mapping else (part,):
            near = process.extractOne(node.text, others - {""}, scorer=fuzz.ratio, score_cutoff=_A_SLIP)
            if node.text not in others and near is not None:
                words = f"the key's column '{node.text}' stands nowhere else in the mapping"
                faults.add(node.place, words, did_you_mean(node.text, others))


def _columns(node: Node) -> Iterator[Node]:
    """Yield the nodes that name columns: those of values, and the required ones."""
    if node.is_list:
        for child in node.value:
            yield from _columns(child)
    elif node.is_mapping:
        for name, child in node.value.items():
            if name == "column" or (name == "clinic" and not child.is_mapping):
                yield child
            elif name in {"columns", "required"} and child.is_list:
                yield from child.value
            else:
                yield from _columns(child)


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
    _check_required(node, path, elements, faults)


def _check_required(node: Node, path: str, elements: dict[str, Element], faults: Faults) -> None:
    """Note elements that must be there and are not, and choices of which two are."""
    if not node.value:
        return
    for element in elements.values():
        if element.required and element.name not in node.value and element.name not in _SET_BY_THE_GATEWAY:
            faults.add(node.place, f"{path}.{element.name} is missing, which FHIR R4 demands")
    for choice in dict.fromkeys(element.choice for element in elements.values() if element.choice):
        several = [element for element in elements.values() if element.choice == choice]
        present = [element.name for element in several if element.name in node.value]
        if len(present) > 1:
            faults.add(node.keys[present[1]], f"{path} has one {choice}[x] in FHIR R4, not {' and '.join(present)}")
        elif not present and several[0].choice_required:
            names = " or ".join(element.name for element in several)
            faults.add(node.place, f"{path}.{choice}[x] is missing, which FHIR R4 demands", f"write {names}")


def _items(node: Node) -> list[Any]:
    return node.value if node.is_list else [node]


def _check_item(item: Node, path: str, element: Element, faults: Faults) -> None:
    if is_value(item):
        constant = item.value.get("constant")
        if "through" in item.value:
            _check_function(item.value["through"], path, element, faults)
        elif constant is not None:
            _check_constant(constant, path, element, faults)
        else:
            _check_text(item, path, element, faults)
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


def _check_function(node: Node, path: str, element: Element, faults: Faults) -> None:
    """Note a function whose values are of another type than the element, or references of another target."""
    last = node.value[-1] if node.is_list and node.value else node
    name = next(iter(last.value), "") if last.is_mapping else last.text
    makes = FUNCTIONS[name].makes if name in FUNCTIONS else ()
    if makes and element.kind not in makes:
        fitting = [function.name for function in FUNCTIONS.values() if element.kind in function.makes]
        hint = f"what makes one: {', '.join(sorted(fitting))}" if fitting else ""
        faults.add(last.place, f"{path} is a {element.kind} in FHIR R4, which {name} does not make", hint)
    options = last.value.get(name) if last.is_mapping else None
    target = options.value.get("type") if options is not None and options.is_mapping else None
    if name == "reference" and target is not None and element.targets and target.text not in element.targets:
        words = f"{path} refers to {' or '.join(element.targets)} in FHIR R4, not to a {target.text}"
        faults.add(target.place, words)


def _check_text(node: Node, path: str, element: Element, faults: Faults) -> None:
    """Note a column's text where FHIR has no text."""
    if element.primitive and element.kind not in _NO_TEXT:
        return
    wanted = _NO_TEXT.get(element.kind, f"a {element.kind}")
    fitting = sorted(function.name for function in FUNCTIONS.values() if element.kind in function.makes)
    hint = f"pass it through {' or '.join(fitting or ['word'])}" if fitting or element.primitive else ""
    faults.add(node.place, f"{path} is {wanted} in FHIR R4, and a column's text is not", hint)


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
