"""The score as a plain table, and as JSON."""

from dataclasses import asdict
from typing import Any

from fhir_gateway.synth.score import Measure, Score

_SHOWN = 3


def score_as_json(result: Score) -> dict[str, Any]:
    """Return the score as plain JSON, with the shares that its counts make."""
    table = asdict(result)
    for name, measure in (("pairs", result.pairs), ("links", result.links)):
        table[name] |= {
            "precision": measure.precision,
            "recall": measure.recall,
            "recall_with_review": measure.recall_with_review,
        }
    table["grades"] = {grade: {"rows": rows, "wrong": wrong} for grade, (rows, wrong) in result.grades.items()}
    return table


def score_as_text(result: Score) -> str:
    """Return the score as lines for a terminal."""
    lines = [
        f"{result.rows:,} rows of {result.persons:,} persons: "
        + ", ".join(f"{count:,} {status}" for status, count in sorted(result.statuses.items())),
        "",
        f"{'':<10}{'precision':>12}{'recall':>12}{'or review':>12}{'wrong':>10}{'missing':>10}",
        _measure_line("pairs", result.pairs),
        _measure_line("links", result.links),
        f"{'B-cubed':<10}{result.bcubed_precision:>12.6f}{result.bcubed_recall:>12.6f}",
        "",
        _share("persons whole and alone", result.persons_whole, result.persons),
        _share("persons split", result.persons_split, result.persons),
        _share("persons merged", result.persons_merged, result.persons),
        _share("persons in review", result.persons_in_review, result.persons),
        _share("rows in review", result.rows_in_review, result.rows),
        _share("good rows rejected", result.rejected_good_rows, result.rows),
        _share("broken rows loaded", result.loaded_broken_rows, result.rows),
    ]
    lines += _listing("wrongly merged, pairs of persons", {kind: each.pairs for kind, each in result.merged.items()})
    for kind, each in result.merged.items():
        lines.append(f"  {kind}: " + _first(["+".join(pair) for pair in each.examples], each.pairs))
    lines += _listing("links missing because rows were", result.split)
    for reason, rows in result.split_examples.items():
        told = [f"{person} ({source}:{row})" for person, source, row in rows]
        lines.append(f"  {reason}: " + _first(told, result.split.get(reason, 0)))
    lines += _listing("what stands in missed rows", dict(list(result.split_tags.items())[:12]))
    lines += ["", "match grade: rows, of these under somebody else's Patient"]
    lines += [f"  {grade:<28}{rows:>10,}{wrong:>8,}" for grade, (rows, wrong) in result.grades.items()]
    lines += _listing("doses", asdict(result.doses))
    return "\n".join(lines) + "\n"


def _measure_line(name: str, measure: Measure) -> str:
    return (
        f"{name:<10}{measure.precision:>12.6f}{measure.recall:>12.6f}{measure.recall_with_review:>12.6f}"
        f"{measure.made - measure.right:>10,}{measure.wanted - measure.right:>10,}"
    )


def _share(name: str, part: int, whole: int) -> str:
    return f"{name:<30}{part:>10,}{100 * part / whole if whole else 0:>9.2f} %"


def _first(told: list[str], count: int) -> str:
    return ", ".join(told[:_SHOWN]) + (", … (more with --json)" if count > _SHOWN else "")


def _listing(title: str, counts: dict[str, int]) -> list[str]:
    return ["", title, *(f"  {name:<28}{count:>10,}" for name, count in counts.items())] if counts else []
