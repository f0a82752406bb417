"""Estimates m and u of every agreement level by counting over invented people whose truth is known, and prints TOML.

    python benchmarks/identity/estimate.py [--persons 10000] [--seeds 101 102] [--population A] [--harsh 1]

m is the share of a level among pairs of records of one person, u among pairs of two people that meet in a block: these
are family and namesakes far more often than strangers, so u of what a household shares comes out too high, and the shipped
values for it are definitions. Use other seeds than those that results are shown on.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import asking
import ours
from rows import read_region

from fhir_gateway.domain.identity import Comparison
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.identity.frequencies import count_frequencies
from fhir_gateway.synth import population
from fhir_gateway.synth.generate import FILES, generate
from fhir_gateway.synth.naming import POPULATIONS
from fhir_gateway.synth.rates import Rates
from fhir_gateway.synth.truth import read_truth

_LEAST = 1e-6
_NOT_COMPARED = frozenset({"caution"})


def main() -> None:
    """Count over all seeds and print the parameters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    parser.add_argument("--population", default="A", choices=POPULATIONS)
    parser.add_argument("--harsh", type=float, default=1.0)
    arguments = parser.parse_args()
    counted: dict[bool, dict[str, Counter[str]]] = {True: defaultdict(Counter), False: defaultdict(Counter)}
    rates = Rates().harsher(arguments.harsh)
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder), population.Region(seed, arguments.persons, arguments.population, rates))
            for same, comparison in _pairs(Path(folder)):
                for one in comparison.evidence:
                    counted[same][one.field][one.agreement] += 1
    seeds = " ".join(map(str, arguments.seeds))
    print(_toml(counted, f"counted: seeds {seeds}, population {arguments.population}, errors x {arguments.harsh:g}"))


def _pairs(folder: Path) -> Iterator[tuple[bool, Comparison]]:
    """Yield the pairs that blocking brings: whether they are one person, and their comparison."""
    region = read_region(folder, FILES)
    truth = asking.truth_of_patients(region, read_truth(folder))
    evidence = [evidence_of(patient) for patient in region.people()]
    frequencies = count_frequencies(evidence)
    for left, right in ours.candidate_pairs(evidence):
        one, other = truth[left - 1], truth[right - 1]
        if asking.UNKNOWN in (one, other):
            continue
        comparison = compare(evidence[left - 1], evidence[right - 1], frequencies=frequencies)
        yield one.person == other.person, comparison


def _toml(counted: dict[bool, dict[str, Counter[str]]], origin: str) -> str:
    lines = []
    for field in sorted(set(counted[True]) | set(counted[False]) - _NOT_COMPARED):
        if field in _NOT_COMPARED:
            continue
        same, two = counted[True][field], counted[False][field]
        for level in sorted(set(same) | set(two)):
            m = max(_LEAST, same[level] / max(1, same.total()))
            u = max(_LEAST, two[level] / max(1, two.total()))
            lines += [f"[{field}.{level}]", f"m = {m:.6f}", f"u = {u:.6f}", f'origin = "{origin}"', ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
