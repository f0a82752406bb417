"""What every command of the merge group tells an operator beside its own."""

import sys

from fhir_gateway.bootstrap import merging
from fhir_gateway.cli.printing import print_text
from fhir_gateway.ledger.store import Ledger


def tell(line: str) -> None:
    """Print a line for the operator, beside what the command prints."""
    print_text(line, file=sys.stderr)


def tell_unfinished(ledger: Ledger, environment: str) -> None:
    """Say which merges were interrupted, and what makes them go on."""
    for line in merging.told_of_unfinished(ledger, environment):
        tell(line)
