"""One FHIR server over HTTP: retries outside, the breaker inside, paced, bounded, and never sent elsewhere."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx
import tenacity

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError
from fhir_gateway.domain.loopback import is_loopback
from fhir_gateway.fhir_server.address import base_url_problem, same_origin
from fhir_gateway.fhir_server.breaker import BreakerGate
from fhir_gateway.fhir_server.credentials import credentials_for
from fhir_gateway.fhir_server.failures import BusyError, OutageError, ServerGoneError, UnreadableError, WebPageError
from fhir_gateway.fhir_server.pace import Pacer
from fhir_gateway.fhir_server.payload import CUT, NotJsonError, is_html, parse_json, whole_body
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.timing import Timing
from fhir_gateway.fhir_server.unusable import UnusableAnswers
from fhir_gateway.fhir_server.verdicts import Verdict, judge, pause, retry_after
from fhir_gateway.fhir_server.waiting import SILENCE, OnWait, WaitTeller

MOST_ATTEMPTS = 8
ATTEMPTS_AT_A_WEB_PAGE = 3
MOST_IN_FLIGHT = 16  # httpx's pool scan is quadratic: 64 in flight were slower than 4
LARGEST_ANSWER = 64 << 20
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOTHING_DONE = frozenset({425, 429})
_SIZE_STATUSES = frozenset({413, 414, 431})
_READ = httpx.ByteStream(b"")

# Both would write whole URLs (which may hold a patient's id) and headers (which hold tokens) into logs.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: `body` is parsed JSON, None where there was none or it was none."""

    status: int
    headers: httpx.Headers
    body: Any

    @property
    def verdict(self) -> Verdict:
        """What the status means for an unconditional request."""
        return judge(self.status)


@dataclass(frozen=True, slots=True)
class Request:
    """A request below the base URL; content and form exclude each other.

    `target` is path and query, already encoded; "" is the base URL, "/" the same with a slash. It is sent at most
    `attempts` times; where `repeat` is false it is not sent again once it may have been done. A success whose body
    `fits` does not take counts as rubbish. `name` is what messages call the request, else method and resource type.
    """

    method: str
    target: str
    content: bytes | None = None
    form: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    attempts: int = MOST_ATTEMPTS
    repeat: bool = True
    fits: Callable[[Any], bool] | None = None
    name: str = ""


class FhirClient:
    """Sends requests to one FHIR server and returns its answers; use as `async with`.

    Answers with any status that is final (2xx, 4xx) are returned. Raises TransientServerError when retries or the
    patience are used up, PermanentServerError where no FHIR server answers, AccessRefusedError for 401 and 403.
    """

    def __init__(
        self,
        policy: FhirServerPolicy,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timing: Timing | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        problem = base_url_problem(policy.base_url)
        if problem:
            raise PermanentServerError(problem)
        self.policy = policy
        self.base = policy.base_url.rstrip("/")
        self.timing = timing or Timing()
        self._gate = BreakerGate(patience=policy.wait_for_server, timing=self.timing, on_wait=on_wait)
        self._unusable = UnusableAnswers(patience=policy.wait_for_server, timeout=policy.timeout, timing=self.timing)
        self._pacer = Pacer(policy.requests_per_second, self.timing)
        self._credentials = credentials_for(policy.auth, self.timing)
        self._slots = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._teller = WaitTeller(on_wait, self.timing)
        self._patience = policy.wait_for_server
        self._speaks_fhir: set[str] = set()  # which requests, by their names, were answered in FHIR
        self.requests = 0  # that were sent, repeats and refused ones included
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(policy.timeout, pool=None),
            limits=httpx.Limits(max_connections=MOST_IN_FLIGHT, max_keepalive_connections=MOST_IN_FLIGHT),
            follow_redirects=False,
            trust_env=not is_loopback(httpx.URL(policy.base_url).host),
            # SSL_CERT_FILE holds on loopback, too, where no proxy is asked.
            verify=transport is not None or httpx.create_ssl_context(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def limit_patience(self, seconds: float) -> None:
        """Wait for a server that is down, or of no use, no longer than this, whatever the policy says."""
        self._patience = min(self._patience or seconds, seconds)
        self._gate.limit_patience(seconds)
        self._unusable.limit_patience(seconds)

    async def send(self, request: Request) -> Answer:
        """Send a request, again and again while that may help, and return the final answer."""
        successes_before, begun = self._gate.successes, self.timing.monotonic()

        def give_up(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            most = ATTEMPTS_AT_A_WEB_PAGE if isinstance(error, WebPageError) else request.attempts
            if state.attempt_number < most or error is None:
                return False
            # While the whole server is down its patience decides, not the number of attempts.
            others_succeed = self._gate.successes > successes_before
            return others_succeed or not isinstance(error, OutageError)

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            waited = self.timing.monotonic() - begun + (state.upcoming_sleep or 0.0)
            never_right = isinstance(error, BusyError) and not self._speaks_fhir
            if self._gate.closed and (never_right or waited >= SILENCE):  # else the gate tells
                asked = getattr(error, "retry_after", None) or 0.0
                self._teller.tell(
                    f"{error}; asking again" + (f" in {asked:.0f} s, as it wants" if asked >= SILENCE else "")
                )

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: _may_repeat(request, error)),
            stop=give_up,
            wait=partial(self._pause, request),
            sleep=self.timing.sleep,
            before_sleep=tell,
            reraise=True,
        )
        try:
            return await retrying(self._noted, request)
        except WebPageError as error:
            raise PermanentServerError(f"{error}; check base_url, and what stands before the server") from None
        finally:
            retrying.iter_state.reset()  # what it had to do refers to it: a cycle that would keep the request

    def _pause(self, request: Request, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, BusyError | OutageError) else None
        planned = pause(state.attempt_number, asked=asked, chance=self.timing.chance())
        left = self._unusable.left(_name(request)) if asked is None else None
        return planned if left is None else min(planned, left)

    async def _noted(self, request: Request) -> Answer:
        """Send once, and note whether the answer was of use."""
        name = _name(request)
        try:
            answer = await self._attempt(request)
        except (BusyError, OutageError) as error:
            if self._is_beyond_patience(error.retry_after):
                raise ServerGoneError(
                    f"{error}, and wants to be left alone for {error.retry_after:g} s, longer than wait_for_server"
                ) from None
            if isinstance(error, BusyError):
                self._unusable.note(name, error, first=not self._speaks_fhir)
            raise
        self._unusable.end(name)
        return answer

    def _is_beyond_patience(self, asked: float | None) -> bool:
        return bool(self._patience and asked and asked > self._patience)

    async def _attempt(self, request: Request) -> Answer:
        """Send once: parked before that while the server is down, which is no attempt."""
        while True:
            async with self._slots:
                if self._gate.closed:
                    return await self._pass(request, probing=False)
            # Parked without a slot, or the parked ones would keep each other from asking.
            if await self._gate.admit():
                return await self._pass(request, probing=True)

    async def _pass(self, request: Request, *, probing: bool) -> Answer:
        async with self._gate.passage(probing=probing):
            await self._pacer.turn()
            return await self._authorised(request)

    async def _authorised(self, request: Request) -> Answer:
        for _ in range(2):
            header = await self._credentials.header(self._http)
            answer = await self._exchange(request, {} if header is None else {"Authorization": header})
            if answer.status != 401 or not self._credentials.refused(header):
                break
        if answer.status in {401, 403}:
            said = (
                "the credentials are missing or wrong" if answer.status == 401 else "the credentials do not permit this"
            )
            raise AccessRefusedError(
                f"The FHIR server answered {answer.status} to {_name(request)}: {said}; check [fhir_server.auth]",
                status=answer.status,
            )
        return answer

    async def _exchange(self, request: Request, authorization: dict[str, str]) -> Answer:
        below = request.target
        url = httpx.URL(self.base + (below if below[:1] in {"", "?", "/"} else f"/{below}"))
        response, body = await self._roundtrip(request, url, authorization)
        for _ in range(_MOST_REDIRECTS):
            if response.status_code not in _REDIRECTS:
                return self._understood(request, response, body)
            url = _redirected(request, url, response)
            response, body = await self._roundtrip(request, url, authorization)
        raise PermanentServerError(f"The FHIR server redirects {_name(request)} in circles; check base_url")

    async def _roundtrip(
        self, request: Request, url: httpx.URL, authorization: dict[str, str]
    ) -> tuple[httpx.Response, bytes]:
        headers = {"Accept": "application/fhir+json", **request.headers, **authorization}
        content = request.content
        if content is not None:
            headers["Content-Type"] = "application/fhir+json; charset=utf-8"
        elif request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = request.form.encode("ascii")
        self.requests += 1
        built = self._http.build_request(request.method, url, content=content, headers=headers)
        try:
            # httpx's timeouts are for each read; a server that drips a byte now and then never answers either.
            with self._teller.watching(_name(request)):
                async with asyncio.timeout(self.policy.timeout):
                    return await self._received(built)
        except TimeoutError:
            raise OutageError(f"The FHIR server gave no answer within {self.policy.timeout:g} s") from None
        except httpx.TransportError as error:
            raise _no_answer(error, self.policy.timeout) from None  # the request hangs on the error: data, tokens
        except httpx.DecodingError:
            raise UnreadableError("The FHIR server's answer is cut or wrongly compressed") from None

    async def _received(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        response = await self._http.send(request, stream=True)
        try:
            body = await whole_body(response, most=LARGEST_ANSWER)
            if body is None:
                raise PermanentServerError(
                    f"The FHIR server's answer is larger than {LARGEST_ANSWER >> 20} MiB", status=response.status_code
                )
            return response, body
        finally:
            await response.aclose()
            response.stream = _READ  # the stream refers to its response: a cycle that would keep all that was sent

    def _understood(self, request: Request, response: httpx.Response, raw: bytes) -> Answer:
        status = response.status_code
        asked = retry_after(response.headers, self.timing.now())
        verdict = judge(status)
        if verdict is Verdict.OUTAGE:
            raise OutageError(f"The FHIR server answered {status}", retry_after=asked)
        if verdict is Verdict.BUSY:
            if asked is not None and status == 429 and not self._is_beyond_patience(asked):
                self._pacer.rest(asked)
            raise BusyError(
                f"The FHIR server answered {status} to {_name(request)}",
                retry_after=asked,
                done=status not in _NOTHING_DONE,
            )
        body = self._json(request, response, raw)
        if verdict is Verdict.SUCCESS and request.fits and not request.fits(body):
            raise UnreadableError(
                f"The FHIR server answered {status} to {_name(request)} with something that does not fit"
            )
        if isinstance(body, dict) and isinstance(body.get("resourceType"), str):
            self._speaks_fhir.add(_name(request))
        return Answer(status=status, headers=response.headers, body=body)

    def _json(self, request: Request, response: httpx.Response, raw: bytes) -> Any:
        """Return the JSON body; raises where something that is no FHIR server answered in its place."""
        status = response.status_code
        if not raw.strip():
            return None
        if is_html(response.headers.get("Content-Type", ""), raw):
            if status in _SIZE_STATUSES or status in {401, 403, 405}:
                return None
            raise self._no_fhir(request, status, "a web page (HTML) or XML")
        try:
            return parse_json(raw)
        except NotJsonError as error:
            if status >= 400:
                return None
            raise self._no_fhir(request, status, str(error)) from None

    def _no_fhir(self, request: Request, status: int, content: str) -> BusyError | PermanentServerError:
        """Return the error for an answer that is no FHIR.

        Where such a request was answered in FHIR before, something is disturbed and may recover. Where others were,
        this one is taken by something else (seen: a proxy that passes GET metadata on, and nothing more).
        """
        name = _name(request)
        said = f"answered {status} to {name} with {content} instead of FHIR"
        if name in self._speaks_fhir or (self._speaks_fhir and content == CUT):
            return UnreadableError(f"The FHIR server {said}")
        if not self._speaks_fhir:
            return PermanentServerError(f"No FHIR server at {self.base}: it {said}; check base_url")
        if status >= 400:
            return PermanentServerError(f"The FHIR server {said}", status=status)
        return WebPageError(f"The FHIR server {said}")


def _may_repeat(request: Request, error: BaseException) -> bool:
    if (isinstance(error, OutageError) and not error.sent) or (isinstance(error, BusyError) and not error.done):
        return True
    return request.repeat and isinstance(error, BusyError | OutageError)


def _redirected(request: Request, url: httpx.URL, response: httpx.Response) -> httpx.URL:
    """Return where a redirect leads, on the same server only."""
    try:
        target = url.join(response.headers.get("Location", ""))
    except httpx.InvalidURL:
        target = httpx.URL("invalid:")
    if not same_origin(url, target):
        port = f":{target.port}" if target.port else ""
        raise PermanentServerError(
            f"The FHIR server redirects {_name(request)} to another server ({target.scheme}://{target.host}{port});"
            " nothing is sent there: if that is right, make it the base_url",
            status=response.status_code,
        )
    if request.method != "GET" and response.status_code not in {307, 308}:
        raise PermanentServerError(
            f"The FHIR server redirects {_name(request)} with {response.status_code}; check base_url",
            status=response.status_code,
        )
    return target


def _no_answer(error: httpx.TransportError, timeout: float) -> OutageError | PermanentServerError:
    """Return what a failed exchange means, in words without addresses of data."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PermanentServerError(
                f"The FHIR server's certificate is not trusted: {getattr(cause, 'verify_message', 'unknown')}"
                " (where an authority of your own signed it, let SSL_CERT_FILE name that one's certificate)"
            )
        cause = cause.__cause__ or cause.__context__
    match error:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return OutageError("The FHIR server cannot be reached (is it running, is base_url right?)", sent=False)
        case httpx.TimeoutException():
            return OutageError(f"The FHIR server gave no answer within {timeout:g} s")
        case httpx.UnsupportedProtocol():
            return PermanentServerError("base_url must begin with http:// or https://")
        case _:
            return OutageError("The FHIR server cut the connection")


def _name(request: Request) -> str:
    """Name a request for messages: method and resource type or operation, without ids and parameters."""
    if request.name:
        return request.name
    first, *rest = request.target.split("?")[0].split("/")
    suffix = "/_search" if rest == ["_search"] else ("/…" if rest else "")
    return f"{request.method} {first or 'the base URL'}{suffix}"
