"""Time that passes only when somebody sleeps."""

import asyncio
from datetime import UTC, datetime, timedelta

from fhir_gateway.fhir_server.timing import Timing


class FakeTime:
    def __init__(self):
        self.seconds = 1000.0
        self.slept = []

    def monotonic(self):
        return self.seconds

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds - 1000)

    async def sleep(self, seconds):
        self.slept.append(seconds)
        until = self.seconds + seconds
        await asyncio.sleep(0)
        self.seconds = max(self.seconds, until)

    def timing(self):
        return Timing(now=self.now, monotonic=self.monotonic, sleep=self.sleep, chance=lambda: 0.5)
