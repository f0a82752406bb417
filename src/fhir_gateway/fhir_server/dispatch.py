"""Gets entries to the server by whatever way it takes them: batch, transaction, halves of them, or one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, ServerError
from fhir_gateway.domain.posting import BundleEntry, EntryOutcome
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.bundles import (
    EntryAnswer,
    build_bundle,
    encode_condition,
    parse_answers,
)
from fhir_gateway.fhir.outcomes import describe_outcome
from fhir_gateway.fhir_server.client import MOST_ATTEMPTS, Answer, FhirClient, Request
from fhir_gateway.fhir_server.entry_outcomes import condition_of, in_doubt, refused, unavailable
from fhir_gateway.fhir_server.failures import BusyError, ServerGoneError
from fhir_gateway.fhir_server.receipts import read_receipt
from fhir_gateway.fhir_server.verdicts import Verdict, judge

ATTEMPTS_FOR_A_BUNDLE = 4  # then halved: what keeps failing may be one entry's fault
_MINIMAL = {"Prefer": "return=minimal"}
_RESPONSES = frozenset({"batch-response", "transaction-response"})
_NO_BUNDLES_HERE = frozenset({301, 302, 303, 404, 405, 501})

Said = EntryAnswer | EntryOutcome


@dataclass(frozen=True, slots=True)
class Way:
    """How entries travel.

    `to_batch`: a refused transaction goes again as a batch; else it is halved, as a refused batch is. `repeat` false:
    what ended unknown is not repeated here, since the server's creates are not conditional. `conditional` false: the
    server refuses creates with a condition, so they go without.
    """

    bundle_type: str
    to_batch: bool = False
    repeat: bool = True
    conditional: bool = True


class Dispatcher:
    """Sends entries once (failures of the transport are repeated) and returns what was said of each, in their order.

    Remembers what the server showed: whether bundles need a slash behind the base URL, or do not work at all. Without
    `bundles` each entry is a request of its own from the start. `headers` go with every write.
    """

    def __init__(
        self, client: FhirClient, *, bundles: bool = True, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._client = client
        self._headers = {**_MINIMAL, **headers}
        self._targets = ["", "/"] if bundles else []
        self._bundles_worked = False

    @property
    def sends_bundles(self) -> bool:
        """Whether several entries still go together."""
        return bool(self._targets)

    def send_singly(self) -> None:
        """Send no bundles from now on: what the server answers to them cannot be used."""
        self._targets.clear()

    async def dispatch(self, entries: Sequence[BundleEntry], way: Way) -> list[Said]:
        """Return an answer, or where there can be none an outcome, for every entry.

        Raises AccessRefusedError where the server takes nothing with these credentials.
        """
        if not way.conditional:
            entries = [replace(entry, if_none_exist="") for entry in entries]
        content = json_text.dump(build_bundle(way.bundle_type, entries))
        attempts = MOST_ATTEMPTS if len(entries) == 1 else ATTEMPTS_FOR_A_BUNDLE
        try:
            answer = await self._post(content, attempts=attempts, repeat=way.repeat)
        except ServerError as error:
            return await self._failed(error, entries, way)
        if answer is None:
            return [await self._alone(entry, way) for entry in entries]
        return await self._read(answer, entries, way)

    async def _post(self, content: bytes, *, attempts: int, repeat: bool) -> Answer | None:
        """Post a bundle to the base URL, else to the base URL with a slash; None where neither takes bundles."""
        while self._targets:
            request = Request(
                "POST",
                self._targets[0],
                content=content,
                headers=self._headers,
                attempts=attempts,
                repeat=repeat,
                fits=_has_answers,
                name="a bundle",
            )
            tried = self._targets[0]
            try:
                answer = await self._client.send(request)
            except PermanentServerError as error:
                if self._bundles_worked or error.status not in _NO_BUNDLES_HERE:
                    raise
            else:
                if self._bundles_worked or answer.status not in _NO_BUNDLES_HERE:
                    return answer
            if tried in self._targets:  # else another bundle found out at the same time
                self._targets.remove(tried)
        return None

    async def _failed(
        self, error: ServerError, entries: Sequence[BundleEntry], way: Way, *, alone: bool = False
    ) -> list[Said]:
        if isinstance(error, AccessRefusedError):
            return await self._forbidden(error, entries, way, alone=alone)
        if isinstance(error, PermanentServerError):
            return [refused(entry, str(error), status=error.status) for entry in entries]
        if isinstance(error, ServerGoneError):
            return [unavailable(entry, str(error)) for entry in entries]
        if way.repeat and len(entries) == 1:
            answered = isinstance(error, BusyError) and error.done
            as_bundle = not self._bundles_worked and not alone
            said = await self._tried_alone(entries[0], way) if answered and as_bundle else None
            return [said or unavailable(entries[0], str(error))]
        # A server that asks for fewer requests is not sent more of them: no entry is at fault.
        throttled = isinstance(error, BusyError) and not error.done
        if throttled or not way.repeat:
            return [EntryAnswer(status=0, message=str(error))] * len(entries)
        return await self._halves(entries, way)

    async def _forbidden(
        self, error: AccessRefusedError, entries: Sequence[BundleEntry], way: Way, *, alone: bool
    ) -> list[Said]:
        """Find out what is forbidden; raises `error` where it is everything.

        A 401 concerns everything. So does a 403, unless bundles went through before: then a firewall or a rule took
        offence at what stands in this one, and only its culprit is refused. Else bundles alone may be forbidden.
        """
        if error.status != 403:
            raise error
        if self._bundles_worked:
            if len(entries) > 1:
                return await self._halves(entries, way)
            return [refused(entry, str(error), status=error.status) for entry in entries]
        if alone:
            raise error
        targets, self._targets = self._targets, []
        try:
            return await self.dispatch(entries, way)
        except AccessRefusedError:
            self._targets = targets
            raise error from None

    async def _read(self, answer: Answer, entries: Sequence[BundleEntry], way: Way) -> list[Said]:
        if answer.verdict is Verdict.SUCCESS:
            self._bundles_worked = True
            answers = parse_answers(answer.body) or ()
            if len(answers) == len(entries):
                return list(answers)
            self.send_singly()  # some too many or too few: nobody knows whose each is
            return list(map(in_doubt, entries))
        if way.bundle_type == "transaction" and way.to_batch:
            return await self.dispatch(entries, replace(way, bundle_type="batch", to_batch=False))
        if len(entries) > 1:
            return await self._halves(entries, way)
        if not self._bundles_worked and (said := await self._tried_alone(entries[0], way)):
            return [said]
        return [EntryAnswer(status=answer.status, message=describe_outcome(answer.body))]

    async def _tried_alone(self, entry: BundleEntry, way: Way) -> Said | None:
        """Return what is said of an entry that a bundle of one was refused for, None where it is refused alone, too.

        Where it is taken, no bundle is: some servers refuse them with 400 or 422, as if the entries were at fault.
        """
        said = await self._alone(entry, way)
        if isinstance(said, EntryOutcome) or not said.status:
            return said
        verdict = judge(said.status, condition=condition_of(entry))
        if verdict is Verdict.SUCCESS and not self._bundles_worked:
            self.send_singly()
        return None if verdict is Verdict.REFUSED else said

    async def _halves(self, entries: Sequence[BundleEntry], way: Way) -> list[Said]:
        """Send both halves: a poisoned entry costs only itself (HAPI refuses the whole batch for it)."""
        middle = len(entries) // 2
        return [*await self.dispatch(entries[:middle], way), *await self.dispatch(entries[middle:], way)]

    async def _alone(self, entry: BundleEntry, way: Way) -> Said:
        """Send one entry as a request of its own, to a server that takes no bundles."""
        headers = dict(self._headers)
        if entry.if_none_exist:
            headers["If-None-Exist"] = encode_condition(entry.if_none_exist)
        if entry.if_match:
            headers["If-Match"] = f'W/"{entry.if_match}"'
        content = json_text.dump(entry.resource)
        request = Request(entry.method, entry.url, content=content, headers=headers, repeat=way.repeat)
        try:
            answer = await self._client.send(request)
        except ServerError as error:
            return (await self._failed(error, [entry], way, alone=True))[0]
        receipt = read_receipt(answer, entry.url.partition("/")[0])
        return EntryAnswer(
            status=answer.status,
            resource_type=receipt.resource_type,
            id=receipt.id,
            version=receipt.version,
            message=describe_outcome(answer.body),
        )


def _has_answers(body: Any) -> bool:
    """Say whether this answers any entry, or says that it answers none; any other Bundle is none to ours."""
    answers = parse_answers(body)
    return bool(answers) or (answers == () and body.get("type") in _RESPONSES)
