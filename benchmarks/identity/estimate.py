"""Estimates the parameters of matching over several invented regions whose truth is known, and prints them as a file.

    python benchmarks/identity/estimate.py [--persons 6000] [--seeds 101 102 103] [--populations A B C] [--harsh 1] [--blind]

`fhir-gateway identity estimate` does the same over the rows of one region's files. --blind does not look at the truth but
for the comparison on stderr: how far EM comes from counting. Use other seeds than those that results are shown on.
"""

import argparse
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import asking
import ours
from rows import read_region

from fhir_gateway.identity.estimation import Estimation, parameters_toml
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.frequencies import Frequencies, count_frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.synth import population
from fhir_gateway.synth.generate import FILES, generate
from fhir_gateway.synth.naming import POPULATIONS
from fhir_gateway.synth.rates import Rates
from fhir_gateway.synth.truth import read_truth

_RANDOM_PAIRS = 40_000


def main() -> None:
    """Count over all seeds and print the parameters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=6_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--populations", nargs="+", default=["A", "B", "C"], choices=POPULATIONS, help="in turn")
    parser.add_argument("--harsh", type=float, default=1.0)
    parser.add_argument("--blind", action="store_true", help="by EM, without the truth")
    arguments = parser.parse_args()
    estimation = Estimation(MatchingPolicy())
    rates = Rates().harsher(arguments.harsh)
    for place, seed in enumerate(arguments.seeds):
        name = arguments.populations[place % len(arguments.populations)]
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder), population.Region(seed, arguments.persons, name, rates))
            _count(Path(folder), seed, estimation, blind=arguments.blind)
        print(f"seed {seed}, population {name}: counted", file=sys.stderr, flush=True)
    how = "by EM" if arguments.blind else "whose truth is known"
    seeds = f"seeds {arguments.seeds[0]} to {arguments.seeds[-1]}, populations {' '.join(arguments.populations)}"
    print(parameters_toml(estimation.estimates(f"invented people {how}, {seeds}, errors x {arguments.harsh:g}")))


def _count(folder: Path, seed: int, estimation: Estimation, *, blind: bool) -> None:
    region = read_region(folder, FILES)
    truth = asking.truth_of_patients(region, read_truth(folder))
    evidence = [evidence_of(patient) for patient in region.people()]
    frequencies = count_frequencies(evidence)
    if blind:
        for left, right in ours.candidate_pairs(evidence):
            estimation.add_unknown(evidence[left - 1], evidence[right - 1], frequencies)
    else:
        _count_known(evidence, [row.person for row in truth], frequencies, estimation)
    chance = random.Random(seed)
    for _ in range(_RANDOM_PAIRS):
        one, other = chance.sample(range(len(evidence)), 2)
        if truth[one].person != truth[other].person:
            estimation.add_random(evidence[one], evidence[other], frequencies, known=True)


def _count_known(
    evidence: list[PersonEvidence], persons: list[str], frequencies: Frequencies, estimation: Estimation
) -> None:
    for one, other in _of_one_person(persons):
        estimation.add_same(evidence[one], evidence[other], frequencies)


def _of_one_person(persons: list[str]) -> Iterator[tuple[int, int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, person in enumerate(persons):
        if person:
            places[person].append(place)
    for own in places.values():
        yield from combinations(own, 2)


if __name__ == "__main__":
    main()
