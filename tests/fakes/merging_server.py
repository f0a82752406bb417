"""The embedded server with a `Patient/$merge` of its own, as FHIR R5 describes it, at once or later."""

import orjson
from tests.fakes.duplicated_people import put_all
from tests.fakes.merging_place import read_all
from tests.fakes.scripted_server import answer, outcome

from fhir_gateway.merging.repointing import repoint

DONE = outcome(severity="information", code="informational", text="merged")


class ServersOwnMerge:
    """What a DisturbedServer answers (`after=`) where it merges by itself.

    `comes` are resources that somebody writes at the very moment in which it merges first. Without `later` it merges at once;
    with it the answer is 202, told by a "task", a "status" address or by "nothing", and it merges when it is asked for
    the second time how far it is. `ends_as` is how its Task ends.
    """

    def __init__(self, base, *, comes=(), later="", ends_as="completed"):
        self.server = None
        self.base = base
        self.comes = comes
        self.later = later
        self.ends_as = ends_as
        self.asked = 0
        self.watched = 0
        self._wanted = None

    def __call__(self, request, response):
        path = request.url.path.removeprefix("/fhir")
        if path == "/metadata":
            return self._declared(response)
        if path == "/Patient/$merge":
            self.asked += 1
            self._wanted = orjson.loads(request.content)
            return self._begun() if self.later else self._merged()
        if path in {"/Task/merging", "/merging"}:
            return self._watched()
        return None

    def _declared(self, response):
        statement = orjson.loads(response.content)
        of_patients = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Patient")
        of_patients["operation"] = [{"name": "merge", "definition": "http://example.org/merge"}]
        return answer(200, statement)

    def _begun(self):
        self.watched = 0
        task = {"name": "task", "resource": {"resourceType": "Task", "id": "merging", "status": "in-progress"}}
        parameters = {"resourceType": "Parameters", "parameter": [task] if self.later == "task" else []}
        headers = {"Content_Location": f"{self.base}/merging"} if self.later == "status" else {}
        return answer(202, parameters, **headers)

    def _watched(self):
        self.watched += 1
        ended = self.watched > 1
        if ended and self.ends_as == "completed":
            self._merged()
        if self.later == "status":
            return answer(200, DONE) if ended else answer(202, Retry_After="1")
        return answer(
            200, {"resourceType": "Task", "id": "merging", "status": self.ends_as if ended else "in-progress"}
        )

    def _merged(self):
        put_all(self.server, self.comes, base=self.base)
        self.comes = ()
        said = {one["name"]: one for one in self._wanted["parameter"]}
        source, target = (
            said[name]["valueReference"]["reference"].removeprefix("Patient/").partition("/")[0]
            for name in ("source-patient", "target-patient")
        )
        moved = [
            repoint(one, [source], target) for name, one in read_all(self.server).items() if "Patient/" not in name
        ]
        gone = read_all(self.server)[f"Patient/{source}"]
        link = [{"other": {"reference": f"Patient/{target}"}, "type": "replaced-by"}]
        put_all(
            self.server,
            [*moved, said["result-patient"]["resource"], gone | {"active": False, "link": link}],
            base=self.base,
        )
        return answer(200, {"resourceType": "Parameters", "parameter": [{"name": "outcome", "resource": DONE}]})
