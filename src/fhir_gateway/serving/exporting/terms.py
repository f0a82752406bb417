"""How exports are kept and worked off."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

PAUSE = 5.0
"""Seconds until an export that could not go on is tried again."""


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """How exports are kept and worked off; times are in seconds, a patience of 0 is for ever.

    `groups_within` is how long somebody waits for groups that are being read.
    """

    at_once: int
    kept_for: timedelta
    patience: float
    pause: float = PAUSE
    groups_within: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
