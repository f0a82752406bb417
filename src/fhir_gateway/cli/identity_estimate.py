"""`identity estimate`: what agreements weigh in a region's own rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.bootstrap import studies
from fhir_gateway.cli import options
from fhir_gateway.cli.printing import print_json, print_table
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.identity.estimation import Estimate, parameters_toml
from fhir_gateway.reports import whole_file
from fhir_gateway.settings import EMBEDDED


def estimate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Exports of the region, loaded already or new.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write them as a file that `[matching] parameters` names."),
    ] = None,
    mapping: options.Mapping = "",
    clinic: options.Clinic = "",
    environment: options.Environment = EMBEDDED,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="DIR", help="What `synth` wrote: count instead of estimating blindly."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws the random pairs.")] = 1,
    limit: options.Limit = 0,
    as_json: options.Json = False,
) -> None:
    """Dry run: estimate from the files' own rows what each agreement weighs. Nothing is sent.

    Of each level of agreement it is estimated how often it is met in two records of one person (m) and of two people
    (u): without a truth by expectation-maximisation over the pairs that share a NIK, or name, birth date and household.
    What the rows cannot tell stays as it is in the environment. Try the file with `identity thresholds` before you use it.
    """
    if out and out.exists():
        raise UsageError(f"{out} exists already: name another file, or take it away")
    if out and not out.parent.is_dir():
        raise UsageError(f"{out.parent} is no folder: make it, or name another file")
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        inputs = gateway.inputs(files, mapping=mapping, clinic=clinic)
        if truth:
            studies.check_truth(gateway, inputs, truth)
        study = studies.estimate(gateway, inputs, clinic=clinic, truth=truth, seed=seed, limit=limit)
    if not study.estimates:
        raise UsageError(
            "these files hold too few records of one person to tell anything: name more, of several months"
        )
    if out:
        with whole_file(out, "the estimate") as file:
            file.write_text(parameters_toml(study.estimates), encoding="utf-8")
    if as_json:
        print_json([_as_json(one) for one in study.estimates])
    elif out:
        _print(study.estimates)
        print(f"{out}: name it in environments/NAME.toml, [matching] parameters, once `identity thresholds` agrees")
    else:
        print(parameters_toml(study.estimates), end="")


def _as_json(one: Estimate) -> dict[str, object]:
    return {
        "key": one.key,
        "m": one.after.m,
        "u": one.after.u,
        "weight": round(one.after.weight, 3),
        "m_before": one.before.m,
        "u_before": one.before.u,
        "weight_before": round(one.before.weight, 3),
        "origin": one.origin,
    }


def _print(estimates: Sequence[Estimate]) -> None:
    rows = [
        (
            one.key,
            f"{one.after.m:.3g}",
            "" if one.after.u is None else f"{one.after.u:.3g}",
            f"{one.after.weight:+.2f}",
            f"{one.before.weight:+.2f}",
        )
        for one in estimates
    ]
    print_table(("level", "m", "u", "bits", "bits before"), rows)
