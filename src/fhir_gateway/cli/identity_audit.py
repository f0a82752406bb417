"""`identity audit`: how right the automatic decisions are, judged by two people who do not see them."""

import math
import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_gateway import bootstrap
from fhir_gateway.bootstrap import studies
from fhir_gateway.cli import options
from fhir_gateway.cli.persons import person_columns
from fhir_gateway.cli.printing import counted, print_json, print_table
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.records import Layout, Resource, UnreadableRow
from fhir_gateway.flows.judging import (
    JUDGEMENTS,
    AuditPair,
    AuditScore,
    Proportion,
    SealedPair,
    StratumScore,
    score_audit,
)
from fhir_gateway.reports import write_table
from fhir_gateway.settings import EMBEDDED
from fhir_gateway.sources import open_source

app = typer.Typer(no_args_is_help=True, help="How right the automatic links are, where no truth is known.")

KEY_FILE = "key.csv"
_COMPARED = ("name", "born", "gender", "identifiers", "phone", "address", "mother or parent")
_SHEET = ("pair", *(f"{side} {name}" for name in _COMPARED for side in "AB"), "judgement", "remark")
_KEY = ("pair", "stratum", "clinic", "linked", "weight", "represents", "certain")


@app.command()
def draw(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Exports that have been loaded.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder for the two sheets and their key.")],
    size: Annotated[
        int,
        typer.Option(
            "--size", min=2, max=options.MOST, metavar="N", help="About how many pairs, of each kind one at least."
        ),
    ] = 400,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed draws the same pairs.")] = 1,
    mapping: options.Mapping = "",
    clinic: options.Clinic = "",
    environment: options.Environment = EMBEDDED,
) -> None:
    """Draw pairs of records that were linked, and look-alikes that were not, onto two sheets for two judges.

    What was decided is what the ledger of the loads holds: every two rows of one Patient, also such as only a third row
    joined, and rows with the Patient on the server whom they were linked to, as it stood before.

    The sample is stratified (possible twins, newborns, mononyms, no NIK, ordinary) and spread over the clinics. The
    sheets hold the same pairs in different orders and nothing of what the gateway decided; that stands in key.csv,
    which the judges must not see. Each fills in `judgement`: same, different or unsure.
    """
    sheets = [out / f"judge-{judge}.xlsx" for judge in (1, 2)]
    _check_folder(out, (*sheets, out / KEY_FILE))
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        certain = gateway.environment.matching.certain
        inputs = gateway.inputs(files, mapping=mapping, clinic=clinic)
        pairs = studies.draw_pairs(gateway, inputs, clinic=clinic, size=size, seed=seed)
    if not pairs:
        raise UsageError(
            "no two records of these files were linked or came near it: load them first (with the same --clinic), or name more"
        )
    out.mkdir(parents=True, exist_ok=True)
    for judge, sheet in enumerate(sheets, start=1):
        rows = [_row(pair, swapped=judge == 2) for pair in pairs]
        random.Random(f"{seed}/{judge}").shuffle(rows)  # noqa: S311 - an order, no secret
        write_table(_SHEET, rows, sheet, choices={"judgement": JUDGEMENTS})
    write_table(_KEY, [_sealed(pair, certain) for pair in pairs], out / KEY_FILE)
    linked = sum(pair.linked for pair in pairs)
    print(f"{counted(len(pairs), 'pair')}, {linked} of them linked: give {sheets[0]} and {sheets[1]} to two")
    print(f"judges, and keep {out / KEY_FILE} to yourself; then: fhir-gateway identity audit score SHEET1 SHEET2")


@app.command()
def score(
    sheet_1: Annotated[Path, typer.Argument(metavar="SHEET1", help="The first judge's sheet.")],
    sheet_2: Annotated[Path, typer.Argument(metavar="SHEET2", help="The second judge's sheet.")],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="key.csv; else the one beside the first sheet.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Print precision and recall with 95 % intervals, how far the judges agree, and where a threshold should rise.

    Recall is among pairs that came near enough to be compared; pairs on which the judges disagree count as disputed.
    """
    if sheet_1.resolve() == sheet_2.resolve():
        raise UsageError("SHEET1 and SHEET2 are the same file: two people must judge")
    key = key or sheet_1.parent / KEY_FILE
    sealed = _read_key(key)
    first, second = (_read_judgements(sheet, sealed, key) for sheet in (sheet_1, sheet_2))
    result = score_audit(sealed, first, second)
    if not result.judged:
        raise UsageError("no pair of the key has been judged on both sheets")
    if as_json:
        print_json(
            {
                "pairs": len(sealed),
                "judged": result.judged,
                "disputed": result.disputed,
                "kappa": None if math.isnan(result.kappa) else result.kappa,
                "precision": _proportion(result.precision),
                "recall": _proportion(result.recall),
                "strata": [_stratum(one) for one in result.strata],
                "clinics": [_stratum(one) for one in result.clinics],
                "rises": [asdict(rise) for rise in result.rises],
                "joined_otherwise": [asdict(one) for one in result.joined_otherwise],
            }
        )
        return
    kappa = "says nothing, as both have one word for all" if math.isnan(result.kappa) else f"{result.kappa:.2f}"
    judged = f"{result.judged} of {counted(len(sealed), 'pair')} judged by both, {result.disputed} of them disputed"
    print(f"{judged}; Cohen's kappa {kappa}")
    print(f"precision of automatic links   {_words(result.precision)}")
    print(f"recall among compared pairs    {_words(result.recall)}")
    for title, rows in (("by stratum", result.strata), ("by clinic", result.clinics)):
        shown = [(one.name, _words(one.links_right), _words(one.apart_right)) for one in rows]
        print_table(("", "links that are right", "rightly left apart"), shown, title=title)
    for line in _where_to_rise(result):
        print(line)


def _where_to_rise(result: AuditScore) -> Iterator[str]:
    for rise in result.rises:
        yield (
            f"{rise.stratum}: {rise.wrong} wrong, the strongest at {rise.weight:g} bits; `certain` above that asks about"
            f" such pairs by themselves, and also about {rise.right} right ones of the sample"
        )
    for one in result.joined_otherwise:
        yield (
            f"{one.stratum}: {one.wrong} wrong that weigh less than `certain` by themselves: other records joined them, or a"
            " rule that is content with less; `identity thresholds` tells whether another threshold would part them"
        )
    if not result.precision.size:
        yield "no link has been decided by both: nothing is said of thresholds"
    elif result.precision.estimate == 1:
        yield "no link is wrong of those that both decided: no threshold has to rise"


def _check_folder(out: Path, files: Sequence[Path]) -> None:
    """Refuse what is no folder, and one with an audit in it, which judges may have filled in."""
    if not next(place for place in (out, *out.absolute().parents) if place.exists()).is_dir():
        raise UsageError(f"--out {out}: is no folder, name another one")
    if any(file.exists() for file in files):
        raise UsageError(f"--out {out}: an audit stands there already, name another folder")


def _row(pair: AuditPair, *, swapped: bool) -> list[str]:
    both: Sequence[Resource] = (pair.right, pair.left) if swapped else (pair.left, pair.right)
    sides = [person_columns(_as_told(person), reveal=True) for person in both]
    return [str(pair.number), *(side[name] for name in _COMPARED for side in sides), "", ""]


def _as_told(person: Resource) -> Resource:
    """Return a person without the gateway's own identifier: that somebody is a Patient already tells of what was decided."""
    told = [each for each in person.get("identifier", []) if each.get("system") != systems.PERSON]
    return {**person, "identifier": told}


def _sealed(pair: AuditPair, certain: float) -> list[str]:
    linked = "yes" if pair.linked else "no"
    return [
        str(pair.number),
        pair.stratum,
        pair.clinic,
        linked,
        f"{pair.weight:.2f}",
        f"{pair.represents:.4f}",
        f"{certain:g}",
    ]


def _read_key(path: Path) -> dict[int, SealedPair]:
    sealed = {}
    for cells, place in _cells(path, _KEY):
        try:
            sealed[int(cells["pair"])] = SealedPair(
                cells["stratum"],
                cells["clinic"],
                cells["linked"] == "yes",
                float(cells["weight"]),
                float(cells["represents"]),
                float(cells["certain"]),
            )
        except ValueError as error:
            raise UsageError(f"{place}: this is not the key as `audit draw` wrote it") from error
    return sealed


def _read_judgements(path: Path, sealed: Container[int], key: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for cells, place in _cells(path, ("pair", "judgement")):
        word = cells["judgement"].strip().casefold()
        if not word:
            continue
        if word not in JUDGEMENTS or not cells["pair"].strip().isdecimal():
            raise UsageError(f"{place}: judgement takes {', '.join(JUDGEMENTS)} or nothing, pair its number")
        if found.setdefault(int(cells["pair"]), word) != word:
            raise UsageError(
                f"{place}: pair {cells['pair'].strip()} stands above with another judgement: keep one of the two"
            )
        if int(cells["pair"]) not in sealed:
            raise UsageError(f"{place}: {key} has no pair {cells['pair'].strip()}: give sheets and key of one audit")
    return found


def _cells(path: Path, columns: Sequence[str]) -> list[tuple[dict[str, str], str]]:
    layout = Layout("audit", required=frozenset(columns), known=frozenset(columns))
    rows = []
    for record in open_source(path, [layout]).records():
        if isinstance(record, UnreadableRow):
            raise UsageError(f"{record.ref}: {record.problem.text}")
        if lost := sorted(record.lost & layout.known):
            raise UsageError(
                f"{record.ref}: {', '.join(lost)} holds a formula whose value is not stored: replace it by its value"
            )
        rows.append((dict(record.cells), str(record.ref)))
    return rows


def _words(share: Proportion) -> str:
    if not share.size:
        return "nothing judged"
    return f"{share.estimate:.4f} ({share.low:.4f} to {share.high:.4f}, n = {share.size:.0f})"


def _proportion(share: Proportion) -> dict[str, Any] | None:
    if not share.size:
        return None
    return {"estimate": share.estimate, "low": share.low, "high": share.high, "n": round(share.size, 1)}


def _stratum(one: StratumScore) -> dict[str, Any]:
    return {"name": one.name, "links": _proportion(one.links_right), "apart": _proportion(one.apart_right)}
