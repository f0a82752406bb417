"""How many rows are read and written together."""

import pytest

from fhir_gateway.domain.records import Converted, Dose, Problem, Rejected, SourceRef
from fhir_gateway.flows.load import reading

REF = SourceRef("file", 1)


def rows(*doses):
    """Return rows with so many doses each; None is a rejected row."""
    return [
        reading._Row(
            number,
            0,
            number,
            Rejected(REF, (Problem("", "wrong", "wrong", ""),))
            if many is None
            else Converted(REF, f"k{number}", "c", {}, (Dose("", {}),) * many),
        )
        for number, many in enumerate(doses, start=1)
    ]


@pytest.mark.parametrize(
    ("read", "together"),
    [
        (rows(1, 1), 250),
        (rows(12, 13), 20),
        (rows(2, None), 250),
        (rows(None, None), 250),
        (rows(1000), 1),
    ],
)
def test_as_many_rows_are_taken_together_as_have_few_doses(read, together):
    assert reading._rows_together(read) == together
