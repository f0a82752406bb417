"""The merge that made two Patients one is told, be it by way of a third."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fhir_gateway.bootstrap.settling_told import joining
from fhir_gateway.domain.history import MergeRecord
from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.merges import GroupRule, Merge, MergeState


def _merge(number: int, survivor: str, *replaced: str) -> MergeRecord:
    began = datetime(2026, 1, number, tzinfo=UTC)
    merge = Merge(
        number, 1, MergeState.APPLIED, "", survivor, replaced, GroupRule.CHOSEN, Grade.CERTAIN, "ani", began, began
    )
    return MergeRecord(merge, "command")


@pytest.mark.parametrize(
    ("merges", "number"),
    [
        ([_merge(1, "a", "b")], 1),
        ([_merge(1, "b", "c"), _merge(2, "c", "a")], 2),
        ([_merge(1, "c", "a"), _merge(2, "d", "b"), _merge(3, "c", "d"), _merge(4, "c", "e")], 3),
        ([_merge(1, "c", "a"), _merge(2, "d", "b")], None),
        ([], None),
    ],
)
def test_the_merge_after_which_two_are_one_is_told(merges: Sequence[MergeRecord], number: int | None) -> None:
    found = joining(merges, "a", "b")

    assert (found.merge.id if found else None) == number
