"""`identity`: two people compared, and what other thresholds would change."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_gateway import bootstrap
from fhir_gateway.bootstrap import studies
from fhir_gateway.bootstrap.compared import compare_two
from fhir_gateway.cli import identity_audit, identity_estimate, options
from fhir_gateway.cli.persons import side_by_side
from fhir_gateway.cli.printing import print_json, print_table, print_text
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.flows.judging import Flip, ThresholdOutcome
from fhir_gateway.flows.load import LoadInput
from fhir_gateway.identity.explain import BESIDE_THE_SUM, explain_comparison
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.settings import EMBEDDED
from fhir_gateway.synth.score import Score

app = typer.Typer(no_args_is_help=True, help="Why two are one person or not, and how right that is.")
app.add_typer(identity_audit.app, name="audit")
app.command()(identity_estimate.estimate)

_STEPS = (-4.0, -2.0, 2.0, 4.0)
_FREQUENCIES = (
    "(How common names and villages are: the shipped frequencies. A load counts its own rows, too: its sums differ.)"
)
_Two = Annotated[
    str,
    typer.Argument(
        metavar="FILE:ROW|RUN:ROW|PATIENT",
        help="A row of a file, or of a run (RUN:N:ROW of its N-th file), or a Patient's id.",
    ),
]


@app.command()
def compare(
    a: _Two,
    b: _Two,
    mapping: options.Mapping = "",
    clinic: options.Clinic = "",
    environment: options.Environment = EMBEDDED,
    reveal: options.Reveal = False,
    as_json: options.Json = False,
) -> None:
    """Compare two people (rows of files, parked rows of runs, Patients on the server): side by side, and the evidence.

    How common names and villages are is told by the shipped frequencies; a load counts its own rows beside them, so that its
    sums differ by that. Names, numbers and birth dates are covered unless --reveal is given.
    """
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        found = compare_two(gateway, a, b, mapping=mapping, clinic=clinic)
        policy = gateway.environment.matching
    sides = side_by_side([found.left, found.right], reveal=reveal)
    told = explain_comparison(found.comparison, policy=policy)
    if as_json:
        comparison = found.comparison
        evidence = [
            {
                "field": e.field,
                "agreement": e.agreement,
                "weight": e.weight,
                "in_sum": e.field not in BESIDE_THE_SUM,
                "words": e.words,
            }
            for e in comparison.evidence
        ]
        print_json(
            {
                "a": {name: left for name, left, _ in sides},
                "b": {name: right for name, _, right in sides},
                "match_grade": comparison.grade,
                "weight": comparison.weight,
                "prior": policy.prior,
                "certain": policy.certain,
                "probable": policy.probable,
                "possible": policy.possible,
                "evidence": evidence,
                "vetoes": [{"code": veto.code, "words": veto.words} for veto in comparison.vetoes],
                "explanation": list(told),
                "frequencies": "shipped",
            }
        )
        return
    print_table(("", a, b), sides)
    for line in told:
        print_text(line)
    print(_FREQUENCIES)


@app.command()
def thresholds(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Exports, loaded already or new.")],
    mapping: options.Mapping = "",
    clinic: options.Clinic = "",
    environment: options.Environment = EMBEDDED,
    certain: Annotated[
        str, typer.Option("--certain", metavar="BITS,…", help="Values to try; else some around the environment's.")
    ] = "",
    probable: Annotated[
        str, typer.Option("--probable", metavar="BITS,…", help="Values to try; else the environment's alone.")
    ] = "",
    margin: Annotated[
        str, typer.Option("--margin", metavar="BITS,…", help="Values to try; else the environment's alone.")
    ] = "",
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="DIR", help="What `synth` wrote: adds precision and recall.")
    ] = None,
    server: Annotated[
        bool, typer.Option("--server", help="Also look for candidates on the server (for files not yet loaded).")
    ] = False,
    limit: options.Limit = 0,
    flips: Annotated[
        int, typer.Option("--flips", min=0, metavar="N", help="Name the first N pairs that flip; 0: all.")
    ] = 20,
    as_json: options.Json = False,
) -> None:
    """Dry run: what other thresholds would change. Nothing is sent, and the ledger stays as it is.

    The rows are held against one another as if none had been loaded. A flip is a pair of records that one setting joins
    and the environment's does not, or the other way round.
    """
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        policies = policies_to_try(gateway.environment.matching, certain, probable, margin)
        inputs = gateway.inputs(files, mapping=mapping, clinic=clinic)
        if truth:
            studies.check_truth(gateway, inputs, truth)
        study = studies.try_thresholds(
            gateway, inputs, policies, clinic=clinic, with_server=server, most_flips=flips or None, limit=limit
        )
        scores = studies.score_thresholds(study, inputs, truth) if truth else []
    shown = [_as_json(o, scores[n] if scores else None, inputs) for n, o in enumerate(study.outcomes)]
    if as_json:
        print_json(shown)
        return
    _print_outcomes(study.outcomes, shown)


def policies_to_try(current: MatchingPolicy, certain: str, probable: str, margin: str) -> list[MatchingPolicy]:
    """Return the environment's policy first, then each combination to try; raises UsageError for what is no policy.

    Another margin is tried with the environment's own `certain` as well.
    """
    around = [current.certain] if probable or margin else [current.certain + step for step in _STEPS]
    given = _bits("--certain", certain)
    tried = {*(given or around), *([current.certain] if margin else ())}
    asked = _bits("--probable", probable) or [current.probable]
    margins = _bits("--margin", margin) or [current.margin]
    policies = [current]
    for one, ask, lead in sorted(product(tried, asked, margins)):
        lower = ask if probable else min(ask, one)
        policy = replace(current, certain=one, probable=lower, possible=min(current.possible, lower), margin=lead)
        if problems := policy.problems():
            if given and one not in given:
                continue
            raise UsageError(f"certain {one:g}, probable {ask:g}, margin {lead:g}: {'; '.join(problems)}")
        if policy not in policies:
            policies.append(policy)
    return policies


def _bits(option: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UsageError(f"{option} {text}: give numbers, separated by commas") from error


def _as_json(outcome: ThresholdOutcome, score: Score | None, inputs: Sequence[LoadInput]) -> dict[str, Any]:
    def place(where: tuple[int, int]) -> str:
        return f"{inputs[where[0]].source.path.name}:{where[1]}"

    def told(flip: Flip) -> dict[str, object]:
        return {"a": place(flip.left), "b": place(flip.right), "joined": flip.joined}

    return {
        "certain": outcome.policy.certain,
        "probable": outcome.policy.probable,
        "margin": outcome.policy.margin,
        "links": outcome.links,
        "new_persons": outcome.new,
        "reviews": outcome.questions,
        "in_review": outcome.in_review,
        "flipped": outcome.flipped,
        "flips": [told(flip) for flip in outcome.flips],
        "precision": score.pairs.precision if score else None,
        "recall": score.pairs.recall if score else None,
        "found_or_in_review": score.pairs.recall_with_review if score else None,
        "merged": sum(merged.pairs for merged in score.merged.values()) if score else None,
    }


def _print_outcomes(outcomes: Sequence[ThresholdOutcome], shown: Sequence[dict[str, Any]]) -> None:
    scored = shown[0]["precision"] is not None
    truth_columns = ("precision", "recall", "merged") if scored else ()
    print_table(
        (
            "certain",
            "probable",
            "margin",
            "links",
            "new persons",
            "reviews",
            "records in review",
            "flipped",
            *truth_columns,
        ),
        [
            (
                f"{one['certain']:g}",
                f"{one['probable']:g}",
                f"{one['margin']:g}" + (" (now)" if n == 0 else ""),
                one["links"],
                one["new_persons"],
                one["reviews"],
                one["in_review"],
                one["flipped"],
                *((f"{one['precision']:.5f}", f"{one['recall']:.5f}", one["merged"]) if scored else ()),
            )
            for n, one in enumerate(shown)
        ],
    )
    for outcome, one in zip(outcomes, shown, strict=True):
        for flip in one["flips"]:
            verb = "joins" if flip["joined"] else "parts"
            print(
                f"certain {outcome.policy.certain:g}, probable {outcome.policy.probable:g}, margin"
                f" {outcome.policy.margin:g} {verb} {flip['a']} and {flip['b']}"
            )
        if more := one["flipped"] - len(one["flips"]):
            print(f"… and {more} more (--flips 0 names all)")
