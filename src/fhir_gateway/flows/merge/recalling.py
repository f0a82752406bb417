"""What registries have pulled, and a merge or its undoing has changed since."""

from collections.abc import Sequence

from fhir_gateway.domain.merges import ChangeState, JournalledChange
from fhir_gateway.domain.registry import Correction, RecallReason
from fhir_gateway.flows.merge.tools import MergeTools

_REASONS = {ChangeState.DONE: RecallReason.MERGED, ChangeState.UNDONE: RecallReason.MERGE_UNDONE}


def recall_settled(changes: Sequence[JournalledChange], tools: MergeTools) -> None:
    """Note which registries have an earlier version of what was changed; belongs in the journal's transaction.

    So whatever a merge or its undoing has done is recalled with it, also where an interruption follows.
    """
    at = tools.clock.now()
    for state, reason in _REASONS.items():
        corrections = [Correction(one.resource, one.after_version) for one in changes if one.state is state]
        if corrections:
            tools.ledger.pulls.recall(corrections, reason=reason, at=at)
