"""`demo`: the whole tour on the shipped samples, in an environment of its own."""

import shutil
from pathlib import Path

import typer

from fhir_gateway import bootstrap
from fhir_gateway.bootstrap import Gateway
from fhir_gateway.cli import options
from fhir_gateway.cli.persons import print_person
from fhir_gateway.cli.printing import print_text
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.cli.review_view import print_review
from fhir_gateway.cli.summary import print_summary
from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.flows.load import LoadRequest
from fhir_gateway.settings import DEMO, home
from fhir_gateway.sources.mapping_folders import shipped_mappings

app = typer.Typer()

SAMPLES = (
    ("simrs-khanza", "sample-rs-a.csv", "rs-a"),
    ("simrs-khanza", "sample-rs-b.csv", "rs-b"),
    ("asik", "sample.xlsx", ""),
    ("puskesmas", "sample.csv", ""),
)
"""The shipped samples: mapping, file, clinic. All people in them are invented."""


@app.command()
def demo() -> None:
    """Take the tour: load samples, see one person and one doubt.

    Everything happens in the environment `demo`, which is emptied first: nothing else is touched.
    """
    shutil.rmtree(home() / ".fhir-gateway" / DEMO, ignore_errors=True)
    with ProgressDisplay() as progress, bootstrap.opened(DEMO, progress) as gateway:
        for mapping, name, clinic in SAMPLES:
            _load(gateway, shipped_mappings() / mapping / name, clinic)
        _show_person(gateway)
        _show_review(gateway)
    print_text(
        "Go on: `fhir-gateway review list --env demo`, `fhir-gateway runs list --env demo`, or load your own file:"
    )
    print("  fhir-gateway load YOUR-EXPORT.csv --report report.csv")


def _load(gateway: Gateway, path: Path, clinic: str) -> None:
    print(f"\n── {path.parent.name}: {path.name}" + (f" from clinic {clinic}" if clinic else "") + " " + "─" * 20)
    inputs = gateway.inputs([path], mapping="", clinic=clinic)
    run = gateway.load(LoadRequest(inputs, clinic, options.login()))
    summary = gateway.summary(run)
    print_summary(summary)
    if summary.read != sum(summary.outcomes.values()) or summary.outcomes.get(Outcome.FAILED):
        raise GatewayError(f"the demo went wrong: not every row of {path.name} has come to its end")


def _show_person(gateway: Gateway) -> None:
    print("\n── one person, with the doses of every source " + "─" * 20)
    patient_id = gateway.ledger.keys.widest()
    view = gateway.person(patient_id) if patient_id else None
    if view is None or len({source.mapping for source in view.sources}) < len({mapping for mapping, _, _ in SAMPLES}):
        raise GatewayError("the demo went wrong: nobody was found in all three sources")
    print_person(view, reveal=True, decisions=False)  # invented people need no mask


def _show_review(gateway: Gateway) -> None:
    print("\n── one identity that a person has to decide " + "─" * 20)
    items = gateway.ledger.reviews.open_items()
    doubt = next((item for item in items if item.decision and item.decision.candidates), None)
    view = gateway.review(doubt.id) if doubt else None
    if view is None:
        raise GatewayError("the demo went wrong: no doubtful identity went to review")
    print_review(view, reveal=True)
    print()
