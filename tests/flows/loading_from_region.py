"""A load into the environment `region`, whose server a test disturbs."""

import json

import httpx
import orjson
from tests.fakes.disturbed_server import is_bundle
from tests.fakes.scripted_server import answer, outcome

COUNTS = ("loaded", "unchanged", "review", "rejected", "failed")

PEOPLE = ("3303015203200003", "Ratna", "Dewanti", "081210001001", "81210001001", "Bayu", "Kusumo", "Lastri")


def counts(summary):
    return {name: summary[name] for name in COUNTS if summary[name]}


def load(place, path, *arguments):
    """Return (exit code, JSON of the summary or None, stderr) of a load into `region`."""
    code, out, err = place.run("load", path, "--env", "region", "--json", *arguments)
    assert not [word for word in PEOPLE if word in err]
    assert "Traceback" not in err
    return code, json.loads(out) if out else None, err


def content(place):
    return tuple(place.server(kind, environment="region-server") for kind in ("Patient", "Immunization"))


def refuse(_):
    raise httpx.ConnectError("refused")


def once(*said):
    """Return a disturbance that says these in turn and is silent afterwards; each is a response or an exception."""
    waiting = list(said)

    def disturb(request):
        if not waiting or not is_bundle(request):
            return None
        disturbance = waiting.pop(0)
        if isinstance(disturbance, Exception):
            raise disturbance
        return disturbance

    return disturb


def refusing(word, status=422):
    """Return a disturbance that refuses, inside of a 200, every entry that holds the word."""

    def refuse_entries(request, response):
        if not is_bundle(request):
            return None
        sent, said = orjson.loads(request.content), orjson.loads(response.content)
        for index, entry in enumerate(sent["entry"]):
            if word.encode() in orjson.dumps(entry):
                said["entry"][index] = {
                    "response": {"status": str(status), "outcome": outcome(text=f"Lot '{word}' is not known here")}
                }
        return answer(body=said)

    return refuse_entries
