"""Twins of whom one is in no file yet: what they would have in common as well, though nobody rivals.

Of twins whose rows come file after file the second one's first row meets nobody but the first one: birth date, family and
most of the name agree. Only a number of its own or the very name then tells whose a row is.
"""

from fhir_gateway.domain.identity import Comparison
from fhir_gateway.identity.comparators import compare_own_names, in_chosen_spelling, numbered_twice
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.vetoes import has_label
from fhir_gateway.people.name_agreement import WORDS_MISSING, NameLevel, may_be_paired
from fhir_gateway.people.name_words import WEAK_WORDS
from fhir_gateway.people.names import tokens_of_key

_OWN_NUMBERS = frozenset({("nik", "agree"), ("own_identifier", "agree")})
_SPELLED = frozenset({NameLevel.EQUIVALENT, NameLevel.NEAR})
_DOUBTFUL = frozenset({("record_number", "different"), ("birth_date", "default_day")})


def may_be_unseen_twins(
    left: PersonEvidence, right: PersonEvidence, comparison: Comparison, *, met_on_server: bool
) -> bool:
    """Say whether two who agree may be twins, or siblings of 1 January, although nobody else is known; symmetric.

    They may where one was met on the server, and their names are two spellings between which parents choose, or a boy's
    and a girl's (Hafiz, Hafizah); where one lacks the first word, and one clinic numbered both or all of a school are
    born that day; and where one is a newborn without a name, one clinic numbered both, and the phones differ. A record
    number tells nothing of a child that a label without a name was joined with: it may have come with the label.
    """
    said = {(one.field, one.agreement) for one in comparison.evidence}
    if not _OWN_NUMBERS.isdisjoint(said):
        return False
    if ("record_number", "agree") in said:
        return (has_label(left) or has_label(right)) and in_chosen_spelling(left, right)
    level = compare_own_names(left, right).level
    if level is NameLevel.UNKNOWN:
        return left.newborn != right.newborn and numbered_twice(left, right) and _other_phone(left, right)
    if level in _SPELLED and met_on_server:
        boy_and_girl = level is NameLevel.EQUIVALENT and ("gender", "different") in said
        return boy_and_girl or in_chosen_spelling(left, right)
    return level in WORDS_MISSING and not said.isdisjoint(_DOUBTFUL) and _first_word_missing(left, right)


def _first_word_missing(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether all names of the one begin with a telling word that nothing in those of the other stands for."""
    plain = [[tokens_of_key(key)[0] for key in known.own_keys] for known in (left, right)]
    return all(_lacks_first(*sorted((one, other), key=len)) for one in plain[0] for other in plain[1])


def _lacks_first(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    first = next((word for word in long if len(word) > 1 and word not in WEAK_WORDS), "")
    return bool(first) and not any(word == first or may_be_paired(word, first) for word in short)


def _other_phone(left: PersonEvidence, right: PersonEvidence) -> bool:
    return bool(left.phones and right.phones) and set(left.phones).isdisjoint(right.phones)
