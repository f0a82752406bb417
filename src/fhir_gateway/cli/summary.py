"""The closing summary of a run: what became of the rows, why, what is unmapped, and what to do next."""

import sys
from collections.abc import Sequence

from fhir_gateway.bootstrap import Summary
from fhir_gateway.cli.printing import counted, print_json, print_table, print_text
from fhir_gateway.domain.outcomes import Outcome, invariant
from fhir_gateway.domain.records import UnmappedValue

_MOST_REASONS = 12
_MOST_UNMAPPED = 20


def print_summary_json(summary: Summary) -> None:
    """Print the summary as one JSON object."""
    print_json(
        {
            "run": summary.run,
            "read": summary.read,
            **{str(outcome): summary.outcomes.get(outcome, 0) for outcome in Outcome},
            "reasons": dict(summary.reasons),
            "unmapped": [
                {"concept_map": v.concept_map, "value": v.value, "count": count, "line": v.line}
                for v, count in summary.unmapped
            ],
            "seconds": round(summary.seconds, 3),
        }
    )


def print_summary(summary: Summary, *, next_steps: Sequence[str] = ()) -> None:
    """Print the summary for people; its last line is the invariant."""
    if summary.reasons:
        shown = list(summary.reasons.items())[:_MOST_REASONS]
        print_table(
            ("rows", "reason", ""), [(f"{count:,}", code, summary.texts.get(code, "")) for code, count in shown]
        )
        if len(summary.reasons) > _MOST_REASONS:
            print_text(
                f"… and {counted(len(summary.reasons) - _MOST_REASONS, 'other reason')}, see the report or `runs show`"
            )
        print()
    _print_unmapped(summary.unmapped)
    for step in next_steps:
        print_text(step)
    if next_steps:
        print()
    rate = f", {summary.read / summary.seconds:,.0f} rows/s" if summary.seconds > 0 else ""
    run = f"run {summary.run}: " if summary.run else ""
    print(f"{run}{summary.seconds:.1f} s{rate}")
    print(invariant(summary.read, summary.outcomes))
    sys.stdout.flush()


def _print_unmapped(unmapped: Sequence[tuple[UnmappedValue, int]]) -> None:
    by_map: dict[str, list[tuple[UnmappedValue, int]]] = {}
    for value, count in unmapped:
        by_map.setdefault(value.concept_map, []).append((value, count))
    for concept_map, values in by_map.items():
        print_text(f"Not in the concept map {concept_map}; complete these lines and put them into your own")
        print_text(f"(mappings/concept_maps/{concept_map}.csv in the working folder, merged over the shipped one):")
        for value, count in values[:_MOST_UNMAPPED]:
            print(f"  {value.line}    # {counted(count, 'row')}")
        if len(values) > _MOST_UNMAPPED:
            print(f"  … and {len(values) - _MOST_UNMAPPED} more, all of them with --json")
        print()
