"""Logins: who is logged in to which environment, until when, and what she is just looking at."""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from fhir_gateway.serving.access import Caller

_MOST_SESSIONS = 1000
_MOST_KEPT = 50


@dataclass(slots=True)
class Work:
    """Something that takes longer than a page: what it is in words, and the task that does it."""

    words: str
    task: asyncio.Task[str]
    """Returns the address to go to when it is done."""
    began: float


@dataclass(slots=True)
class Session:
    """One login. `kept` holds what must not stand in an address (a NIK that was searched for), under opaque handles."""

    id: str
    caller: Caller
    csrf: str
    seconds: float
    expires: float
    kept: "OrderedDict[str, Any]" = field(default_factory=OrderedDict)
    notice: str = ""

    def keep(self, value: Any) -> str:
        """Keep something for this login and return its handle; the oldest things go."""
        handle = secrets.token_urlsafe(12)
        self.kept[handle] = value
        while len(self.kept) > _MOST_KEPT:
            self.kept.popitem(last=False)
        return handle

    def begin(self, words: str, work: Callable[[], Awaitable[str]]) -> str:
        """Begin something that takes longer and return its handle; it goes on when the browser is closed."""

        async def act() -> str:
            return await work()

        return self.keep(Work(words, asyncio.create_task(act()), time.monotonic()))

    def tell(self, words: str) -> None:
        """Say something on the next page."""
        self.notice = words

    def take_notice(self) -> str:
        """Return what is to be said on this page, once."""
        words, self.notice = self.notice, ""
        return words


class Sessions:
    """The logins of one process, in memory: a restart ends them."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, caller: Caller, *, seconds: float) -> Session:
        """Begin a login that ends after so many seconds without use."""
        session = Session(
            id=secrets.token_urlsafe(32),
            caller=caller,
            csrf=secrets.token_urlsafe(32),
            seconds=seconds,
            expires=self._clock() + seconds,
        )
        self._sessions[session.id] = session
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def get(self, session_id: str) -> Session | None:
        """Return a login that still lasts, and let it last longer."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        if session.expires <= self._clock():
            self.close(session_id)
            return None
        session.expires = self._clock() + session.seconds
        self._sessions.move_to_end(session_id)
        return session

    def close(self, session_id: str) -> None:
        """End a login."""
        self._sessions.pop(session_id, None)
