"""Invented people who stand several times on a real server, with whatever may refer to a Patient; and how they look there."""

import json
import re
from itertools import count

import httpx
from tests.fakes.duplicated_people import dose, observation, patient

from fhir_gateway.fhir.references import iterate_references

_SERIALS = (serial for serial in count(9001) if serial % 10)
_FRESH = {"Cache-Control": "no-cache"}


def new_nik():
    """Return a NIK that nobody on any of the servers has, of somebody born when the invented family was."""
    return f"330312150320{next(_SERIALS):04}"


def family(nik, other_nik):
    """Return three Patients of one person, one of another, and what refers to them, in the order of their creation."""
    return [*_people(nik, other_nik), *_clinical(), *_organising(), *_telling_what_was()]


_ABOUT_P2 = {"subject": {"reference": "Patient/p2"}}


def _people(nik, other_nik):
    """Return the Patients with their doses and observations."""
    return [
        patient(1, nik, address=[{"use": "home", "line": ["Kalimanah"], "city": "Purbalingga"}]),
        patient(2, nik, contact=[{"name": {"text": "Siti Aminah"}}]),
        patient(3, nik),
        patient(9, other_nik, name=[{"text": "Bayu Kusumo"}]),
        dose(1, "p1"),
        dose(1, "p2", lotNumber="L7"),
        dose(2, "p2"),
        observation(1, "p1"),
        observation(2, "p2", performer=[{"reference": "Patient/p3"}]),
        observation(3, "p3", focus=[{"reference": "Patient/p2"}, {"reference": "Patient/p9"}]),
        observation(9, "p9"),
    ]


def _clinical():
    """Return what was found and done."""
    return [
        {
            "resourceType": "ImmunizationEvaluation",
            "id": "ie",
            "status": "completed",
            "patient": {"reference": "Patient/p1"},
            "targetDisease": {"text": "tuberculosis"},
            "immunizationEvent": {"reference": "Immunization/d1-p1"},
            "doseStatus": {"text": "valid"},
        },
        {
            "resourceType": "Encounter",
            "id": "e",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "period": {"start": "2021-01-02"},
            **_ABOUT_P2,
        },
        {
            "resourceType": "Condition",
            "id": "c",
            "code": {"text": "fever"},
            "encounter": {"reference": "Encounter/e"},
            "recorder": {"reference": "Patient/p3"},
            **_ABOUT_P2,
        },
        {"resourceType": "Procedure", "id": "pr", "status": "completed", "code": {"text": "weighing"}, **_ABOUT_P2},
        {
            "resourceType": "AllergyIntolerance",
            "id": "al",
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                        "code": "active",
                    }
                ]
            },
            "code": {"text": "milk"},
            "patient": {"reference": "Patient/p3"},
        },
    ]


def _organising():
    """Return documents, lists, groups and plans, in some of which others stand, too."""
    return [
        {
            "resourceType": "DocumentReference",
            "id": "dr",
            "status": "current",
            "content": [{"attachment": {"contentType": "text/plain", "title": "letter"}}],
            "author": [{"reference": "Patient/p3"}],
            **_ABOUT_P2,
        },
        {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/p3"}},
        {
            "resourceType": "List",
            "id": "li",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"reference": f"Patient/{one}"}} for one in ("p2", "p9", "p3")],
        },
        {
            "resourceType": "Group",
            "id": "g",
            "type": "person",
            "actual": True,
            "member": [{"entity": {"reference": f"Patient/{one}"}} for one in ("p9", "p2")],
        },
        {
            "resourceType": "Appointment",
            "id": "a",
            "status": "booked",
            "start": "2021-02-01T08:00:00+07:00",
            "end": "2021-02-01T08:10:00+07:00",
            "participant": [{"actor": {"reference": "Patient/p2"}, "status": "accepted"}],
        },
        {
            "resourceType": "Task",
            "id": "t",
            "status": "requested",
            "intent": "order",
            "for": {"reference": "Patient/p2"},
            "owner": {"reference": "Patient/p3"},
        },
    ]


def _telling_what_was():
    """Return what is never rewritten."""
    return [
        {
            "resourceType": "Provenance",
            "id": "pv",
            "target": [{"reference": "Patient/p2"}],
            "recorded": "2021-01-02T08:00:00+07:00",
            "agent": [{"who": {"reference": "Patient/p3"}}],
        },
        {
            "resourceType": "AuditEvent",
            "id": "ae",
            "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110110"},
            "recorded": "2021-01-02T08:00:00+07:00",
            "agent": [{"requestor": False, "who": {"reference": "Patient/p3"}}],
            "source": {"observer": {"display": "a desk"}},
            "entity": [{"what": {"reference": "Patient/p2"}}],
        },
    ]


class Settled:
    """Resources that were created on a server: their names there by the names under which they were written down."""

    def __init__(self, base_url, resources):
        self.base_url = base_url
        self.names = {}
        with self._client() as client:
            for resource in resources:
                self._create(client, resource)

    def _client(self):
        return httpx.Client(base_url=self.base_url, timeout=300, headers=_FRESH)

    def _create(self, client, resource):
        bare = {name: value for name, value in resource.items() if name != "id"}
        body = re.sub(
            r'"reference":\s*"(\w+/[\w-]+)"', lambda found: f'"reference": "{self.names[found[1]]}"', json.dumps(bare)
        )
        answer = client.post(
            f"/{resource['resourceType']}", content=body, headers={"Content-Type": "application/fhir+json"}
        )
        assert answer.status_code == 201, [  # in words: an outcome is long
            issue["diagnostics"] for issue in answer.json()["issue"] if issue["severity"] == "error"
        ]
        self.names[f"{resource['resourceType']}/{resource['id']}"] = f"{resource['resourceType']}/{answer.json()['id']}"

    def __getitem__(self, name):
        """Return the bare id of a Patient by its short name."""
        return self.names[f"Patient/{name}"].partition("/")[2]

    def content(self):
        """Return every one of them by its short name as it stands there now, without what the server writes itself."""
        with self._client() as client:
            return {name: without_the_servers(client.get(f"/{there}").json()) for name, there in self.names.items()}

    def search(self, resource_type, **parameters):
        """Return what a search finds, by its first page."""
        with self._client() as client:
            bundle = client.get(f"/{resource_type}", params=parameters).json()
            return [entry["resource"] for entry in bundle.get("entry", [])]

    def edit(self, name, **elements):
        """Change elements of one as somebody does who reads it first."""
        with self._client() as client:
            there = self.names[name]
            answer = client.put(f"/{there}", json=client.get(f"/{there}").json() | elements)
            assert answer.status_code == 200, answer.text

    def referring_to(self, *patients):
        """Return who of them refers to these Patients, apart from what tells of the past and of replacement."""
        wanted = {self.names[f"Patient/{one}"] for one in patients}
        return sorted(
            name
            for name, resource in self.content().items()
            if not name.startswith(("Provenance/", "AuditEvent/"))
            for found in iterate_references(resource)
            if found.value.get("reference") in wanted and found.path != "link.other"
        )


def without_the_servers(resource):
    """Return a resource without version and time; HAPI appends its request's id to `meta.source`, or writes only that."""
    meta = {name: value for name, value in resource["meta"].items() if name not in {"versionId", "lastUpdated"}}
    source = meta.pop("source", "").partition("#")[0]
    return resource | {"meta": meta | ({"source": source} if source else {})}
