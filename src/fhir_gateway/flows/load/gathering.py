"""What is known of the people of a component, gathered for some components at a time."""

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.identity import Node
from fhir_gateway.domain.runs import Run, Verdict, as_of_now
from fhir_gateway.fhir.references import replaced_by
from fhir_gateway.flows.load.comparing import OWN, evidence_of_found
from fhir_gateway.flows.load.listed import listed_before
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.combining import with_orders_of_birth
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.frequencies import Frequencies, default_frequencies
from fhir_gateway.identity.given import Listed


@dataclass(frozen=True, slots=True)
class Component:
    """People who were compared with each other and with Patients, directly or by others, and what is known of them."""

    people: Mapping[int, PersonEvidence]
    patients: Mapping[str, PersonEvidence]
    edges: Sequence[tuple[int, Node]]
    own: Mapping[int, frozenset[str]]
    replaced: frozenset[str]
    """Patients that say they were replaced, but whose chain leads to nobody: nothing may be linked to them."""
    listed: Mapping[Node, Listed]
    """What this load's unchanged rows and those of earlier loads tell of Patients' doses."""
    inactive: Mapping[str, PersonEvidence]
    """Patients out of use that name nobody in their place: whoever fits one of them is no new person without asking."""
    verdicts: Sequence[tuple[int, str, bool]]
    """What operators said: (person, Patient, whether they are one)."""
    apart: Collection[frozenset[str]]
    """The pairs of Patients, of these or others, that operators hold for two people."""
    masters: Mapping[str, str]
    """Replaced Patient, of these or others → who stands for it."""
    witnesses: frozenset[int]
    """The people of whom nothing is to be decided, as their rows wait; see heeding()."""


def gathered(
    run: Run,
    window: Sequence[Sequence[int]],
    tools: LoadTools,
    frequencies: Frequencies | None,
    witnesses: frozenset[int],
) -> Iterator[Component]:
    """Yield what is known of each component of a window, which are sets of people's numbers; it is read for all of them at once."""
    spool, counted = tools.ledger.spool, frequencies or default_frequencies()
    everybody = [number for group in window for number in group]
    patients = spool.patients_of(run, everybody)
    met = spool.edges_of(run, everybody)
    on_server = {str(other) for _, other, _ in met if isinstance(other, str)}
    stored = spool.candidates(run, on_server)
    found, masters = evidence_of_found(stored)
    edges: dict[int, list[tuple[int, Node, float]]] = {}
    for person, other, weight in met:
        edges.setdefault(person, []).append((person, masters.get(str(other), other), weight))
    replaced = frozenset(one for one in stored.keys() - masters.keys() if [*replaced_by(stored[one])])
    inactive = {one for one in found if stored[one].get("active") is False} - replaced
    owned = {(person, other) for person, other, weight in met if weight == OWN}
    verdicts = _verdicts(run, everybody, tools, owned=owned, masters=masters)
    known_doses = listed_before(run, on_server, tools)
    for one in masters.keys() & known_doses.keys():
        known_doses[masters[one]] = known_doses.get(masters[one], Listed()) | known_doses[one]
    apart = tools.ledger.keys.kept_apart(on_server) if len(on_server) > 1 else set()
    for group in window:
        own_edges = [edge for number in group for edge in edges.get(number, ())]
        said = [one for number in group for one in verdicts.get(number, ())]
        asleep = inactive - {
            patient_id for _, patient_id, same in said if same
        }  # an operator chose the others as they are
        near = {
            str(other): counted.without_crowds(found[str(other)]) for _, other, _ in own_edges if isinstance(other, str)
        }
        yield Component(
            people=with_orders_of_birth(
                {number: counted.without_crowds(evidence_of(patients[number])) for number in group}
            ),
            patients={patient_id: one for patient_id, one in near.items() if patient_id not in asleep},
            edges=[*dict.fromkeys((person, other) for person, other, _ in own_edges if other not in asleep)],
            own={
                number: frozenset(str(other) for _, other, weight in edges.get(number, ()) if weight == OWN)
                for number in group
            },
            replaced=replaced,
            listed={patient_id: known_doses[patient_id] for patient_id in near if patient_id in known_doses},
            inactive={patient_id: one for patient_id, one in near.items() if patient_id in asleep},
            verdicts=said,
            apart=apart,
            masters=masters,
            witnesses=witnesses.intersection(group),
        )


def _verdicts(
    run: Run, people: Sequence[int], tools: LoadTools, *, owned: Container[tuple[int, Node]], masters: dict[str, str]
) -> dict[int, list[tuple[int, str, bool]]]:
    """Return person → (person, Patient, whether she is that) of what operators said.

    `owned` are (person, Patient that earlier runs loaded her words to), `masters` those whom others' merges replaced.
    """
    numbers = {name: number for number, name in tools.ledger.spool.digests_of(run, people).items()}
    said = tools.ledger.verdicts.of(numbers)
    merged = tools.ledger.keys.survivors({one.patient_id for one in said}) if said else {}
    into = masters | {replaced: masters.get(now, now) for replaced, now in merged.items()}
    one_by_now: dict[str, set[str]] = {}
    for replaced, now in into.items():
        one_by_now.setdefault(now, {now}).add(replaced)

    def overtaken(verdict: Verdict) -> bool:
        """Whether she was said not to be somebody who was merged since with the Patient whose words these are."""
        others = one_by_now.get(into.get(verdict.patient_id, verdict.patient_id), set()) - {verdict.patient_id}
        return not verdict.same and any((numbers[verdict.digest], other) in owned for other in others)

    found: dict[int, list[tuple[int, str, bool]]] = {}
    for verdict in as_of_now((one for one in said if not overtaken(one)), into):
        number = numbers[verdict.digest]
        found.setdefault(number, []).append((number, verdict.patient_id, verdict.same))
    return found
