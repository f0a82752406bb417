"""What an answer means for whoever asked: the one place that tells transient from permanent."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Literal

Condition = Literal["", "create", "update"]
"""What the request hung on: nothing, If-None-Exist, or If-Match."""

LONGEST_RETRY_AFTER = 3600.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

_BUSY = frozenset({408, 423, 425, 429, 500, 507})
_OUTAGE = frozenset({502, 503, 504, *range(520, 531)})  # 520-530: a content network that does not reach the server


class Verdict(StrEnum):
    """What to make of a status.

    BUSY: the server lives, and the same request may well succeed later. OUTAGE: the server is not there. CHANGED: a
    condition on the version did not hold. REFUSED: the same request will never succeed.
    """

    SUCCESS = "success"
    BUSY = "busy"
    OUTAGE = "outage"
    CHANGED = "changed"
    REFUSED = "refused"


def judge(status: int, *, condition: Condition = "") -> Verdict:
    """Return what an HTTP status, of an answer or of one entry of a bundle, means.

    A 409 on a conditional create is the loser of a race (seen on HAPI: 38 to 48 of 100 entries): look again. A stale
    If-Match is 412 by the standard and 409 on HAPI. A 412 on a conditional create says that several match: permanent.
    """
    if 200 <= status < 300:
        return Verdict.SUCCESS
    if status == 409 and condition == "create":
        return Verdict.BUSY
    if status in {409, 412} and condition == "update":
        return Verdict.CHANGED
    if status in _BUSY:
        return Verdict.BUSY
    return Verdict.OUTAGE if status in _OUTAGE else Verdict.REFUSED


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date), None if unusable.

    A date counts from the answer's own Date, from `now` where it has none: the two clocks may disagree.
    """
    stripped = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", stripped, re.ASCII):
        return min(float(stripped), LONGEST_RETRY_AFTER)
    moment = _moment(stripped)
    if moment is None:
        return None
    answered = _moment(headers.get("Date", "")) or now
    return min(max((moment - answered).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def pause(attempt: int, *, asked: float | None, chance: float) -> float:
    """Return the seconds to wait after the failed `attempt` (1-based): exponential, half of it jittered.

    `asked` is the server's Retry-After: never waited less, and a little more, so that not all return at once.
    """
    ceiling = LONGEST_PAUSE if attempt > 10 else min(LONGEST_PAUSE, math.ldexp(FIRST_PAUSE, attempt - 1))
    jittered = ceiling * (0.5 + chance / 2)
    return jittered if asked is None else max(asked + chance * FIRST_PAUSE, jittered)
