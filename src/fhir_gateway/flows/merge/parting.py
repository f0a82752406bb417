"""An operator says that Patients who look alike are different people."""

import re
from collections.abc import Sequence
from datetime import datetime

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.ports import Ledger, MergeJournal

MOST_PARTED = 50
"""So many Patients at most are parted by one decision: each is another person than each other one."""

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def part(  # noqa: PLR0913 - who decides what, when, why and from where
    patient_ids: Sequence[str],
    *,
    user: str,
    reason: str,
    via: str,
    at: datetime,
    ledger: Ledger,
    journal: MergeJournal,
) -> tuple[str, ...]:
    """Write down that these Patients are different people, each of them, and return their bare ids, sorted.

    They are not proposed any more; a merge of them that is made afterwards all the same overrules it. Raises UsageError
    for fewer than two Patients, more than MOST_PARTED, what is no id, and where no reason is given.
    """
    ids = tuple(sorted({one.removeprefix("Patient/") for one in patient_ids}))
    if not all(_ID.fullmatch(one) for one in ids):
        raise UsageError("a Patient's id has letters, digits, - and . only, 64 at most")
    if not 1 < len(ids) <= MOST_PARTED:
        raise UsageError(f"name two or more Patients, {MOST_PARTED} at most")
    if not reason.strip():
        raise UsageError("a reason must say why they are different people")
    with ledger.transaction():
        journal.part(ids, user=user, at=at, reason=reason.strip(), via=via)
    return ids
