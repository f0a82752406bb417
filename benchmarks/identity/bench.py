"""Prints how well methods find out who is who, side by side on the same invented rows.

    python benchmarks/identity/bench.py [--persons 100000] [--seeds 9001 9002] [--population B] [--harsh 1]
    PYTHONPATH=. python benchmarks/identity/bench.py --orders --persons 200

The seeds are none that a default was tuned on. All files are matched together, without a server.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asking
import linkage
import ours
import published
from rows import REJECTED, Region, read_region

from fhir_gateway.bootstrap.collecting import collect_seldom
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.synth import population
from fhir_gateway.synth.generate import FILES, generate
from fhir_gateway.synth.naming import POPULATIONS
from fhir_gateway.synth.rates import Rates, read_rates
from fhir_gateway.synth.score import Score, score
from fhir_gateway.synth.truth import read_truth

_RULES = {"A": published.rule_a, "A2": published.rule_a2, "B": published.rule_b}
_KINDS = ("twins", "mother-child", "father-child", "siblings", "household", "namesakes", "strangers")


def main() -> None:
    """Run every method on every seed and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[9001, 9002])
    parser.add_argument("--population", default="B", choices=POPULATIONS)
    parser.add_argument("--rates", type=Path, help="a TOML file with rates, see `fhir-gateway synth rates`")
    parser.add_argument("--harsh", type=float, default=1.0)
    parser.add_argument("--methods", nargs="+", default=["ours", *_RULES, "splink"])
    parser.add_argument("--splink-python", default=sys.executable, help="an interpreter with splink and duckdb")
    parser.add_argument("--orders", action="store_true", help="load the files in every order instead, and compare")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        if arguments.orders:
            run_orders(seed, arguments)
            continue
        with tempfile.TemporaryDirectory() as folder:
            run_seed(Path(folder), seed, arguments)


def _rates(arguments: argparse.Namespace) -> Rates:
    rates = read_rates(arguments.rates) if arguments.rates else Rates()
    return rates.harsher(arguments.harsh)


def run_orders(seed: int, arguments: argparse.Namespace) -> None:
    """Print in what loading one invented region's files in every order differs from loading them together."""
    import orders  # noqa: PLC0415 - it needs the tests' fakes, and nothing else here does

    print(
        f"\nseed {seed}, population {arguments.population}, errors x {arguments.harsh:g}: {arguments.persons:,} persons"
    )
    rates = _rates(arguments)
    for line in orders.compare_orders(population.Region(seed, arguments.persons, arguments.population, rates)):
        print(line, flush=True)


def run_seed(folder: Path, seed: int, arguments: argparse.Namespace) -> None:
    """Run every method on one invented region."""
    started = time.perf_counter()
    rates = _rates(arguments)
    generate(folder, population.Region(seed, arguments.persons, arguments.population, rates))
    generated = time.perf_counter()
    region = read_region(folder, FILES)
    rows = sum(len(each) for each in region.rows.values())
    converted = time.perf_counter()
    print(
        f"\nseed {seed}, population {arguments.population}, errors x {arguments.harsh:g}: {arguments.persons:,} persons, "
        f"{rows:,} rows, {len(region.patients):,} distinct Patients, "
        f"{sum(list(each).count(REJECTED) for each in region.rows.values()):,} rows refused by conversion; "
        f"written in {generated - started:.0f} s, converted in {converted - generated:.0f} s",
        flush=True,
    )
    # As in a load: what is there by now is searched for cycles no more. It holds for all methods but Splink, a process of its own.
    collect_seldom()
    if "ours" in arguments.methods:
        report_ours(region, folder, rows)
    for name, rule in _RULES.items():
        if name in arguments.methods:
            report_rule(name, rule, region, folder, rows)
    if "splink" in arguments.methods and linkage.installed(arguments.splink_python):
        report_splink(region, folder, rows, arguments.splink_python)
    elif "splink" in arguments.methods:
        print("splink   is not installed: name an interpreter with it by --splink-python (requirements/linkage.txt)")


def report_ours(region: Region, folder: Path, rows: int) -> None:
    """Run the gateway's own matching and print its figures, why it asks and whom it merged."""
    started = time.process_time()
    decisions = ours.decide_all(region.people(), region.listed, MatchingPolicy())
    seconds = time.process_time() - started
    patients = ours.labels(decisions, len(region.patients))
    result = scored(region, folder, patients)
    print(table("ours", result, seconds, rows))
    for line in goals(result, rows / seconds):
        print(line)
    people = asking.truth_of_patients(region, read_truth(folder))
    print(asking.how_many_questions(decisions, result.persons))
    for line in (*asking.why_asked(decisions, people), *asking.whom_merged(decisions, people)):
        print(line, flush=True)


def goals(result: Score, rate: float) -> Iterator[str]:
    """Yield a line for each goal: what was measured, and whether it is reached."""
    links, merged = result.links, result.merged
    twins, mothers = (merged[kind].pairs if kind in merged else 0 for kind in ("twins", "mother-child"))
    in_review = result.persons_in_review / result.persons
    for name, reached in (
        (f"precision of links {links.precision:.6f}, at least 0.99995", links.precision >= 0.99995),
        (f"recall {links.recall:.4f}, at least 0.97", links.recall >= 0.97),
        (f"linked or in review {links.recall_with_review:.4f}, at least 0.995", links.recall_with_review >= 0.995),
        (f"persons in review {100 * in_review:.2f} %, less than 2 %", in_review < 0.02),
        (f"twins merged: {twins}, nobody", twins == 0),
        (f"mothers merged with their child: {mothers}, nobody", mothers == 0),
        (f"rows/s of one core {rate:,.0f}, at least 5,000", rate >= 5_000),
    ):
        yield f"  goal   {name}: {'reached' if reached else 'NOT REACHED'}"


def report_rule(
    name: str, rule: Callable[[published.Server, published.Record], int], region: Region, folder: Path, rows: int
) -> None:
    """Run a published rule set and print its figures."""
    started = time.process_time()
    patients = published.labels(region.people(), rule)
    seconds = time.process_time() - started
    print(table(name, scored(region, folder, patients), seconds, rows), flush=True)


def report_splink(region: Region, folder: Path, rows: int, python: str) -> None:
    """Run Splink and print its figures at the threshold that serves it best, and where it comes near our precision."""
    started = time.perf_counter()
    found = linkage.labels_by_threshold(region.people(), python, folder)
    seconds = time.perf_counter() - started
    results = {threshold: scored(region, folder, labels) for threshold, labels in found.items()}
    for threshold, result in results.items():
        links = result.links
        print(f"splink   at {threshold:>4} bits: precision {links.precision:.6f} recall {links.recall:.4f}")
    best = max(results, key=lambda threshold: harmonic_mean(results[threshold]))
    print(table("splink", results[best], seconds, rows), flush=True)


def harmonic_mean(result: Score) -> float:
    """Return F1 over pairs of rows."""
    return 2 / (1 / max(result.pairs.precision, 1e-9) + 1 / max(result.pairs.recall, 1e-9))


def scored(region: Region, folder: Path, patients: list[str]) -> Score:
    """Score labels of the distinct Patients. Rows that conversion refuses no method ever sees: they are left out."""
    truth = (row for row in read_truth(folder) if region.rows[row.source][row.row - 1] != REJECTED)
    return score(truth, region.reports(patients))


def table(name: str, result: Score, seconds: float, rows: int) -> str:
    """Return the figures of one method."""
    merged = ", ".join(f"{kind} {result.merged[kind].pairs}" for kind in _KINDS if kind in result.merged)
    missed = ", ".join(f"{tag} {count}" for tag, count in list(result.split_tags.items())[:8])
    links, pairs = result.links, result.pairs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return "\n".join(
        (
            (
                f"{name:<8} links: precision {links.precision:.6f} ({links.made - links.right} wrong) recall {links.recall:.4f}"
                f" or review {links.recall_with_review:.4f} | pairs: {pairs.precision:.6f} {pairs.recall:.4f}"
                f" | B-cubed {result.bcubed_precision:.5f} {result.bcubed_recall:.4f}"
            ),
            (
                f"{'':<8} persons: {result.persons_merged} merged, {result.persons_split} split, "
                f"{100 * result.persons_in_review / result.persons:.2f} % in review ({100 * result.rows_in_review / result.rows:.2f} % of rows); "
                f"{rows / seconds:,.0f} rows/s of one core, peak {peak} MiB"
            ),
            f"{'':<8} merged: {merged or 'nobody'}",
            f"{'':<8} missed rows have: {missed or 'nothing'}",
        )
    )


if __name__ == "__main__":
    main()
