"""Pulls with SMART's Python client (fhirclient), which gets its token itself: BASE CLIENT_ID SCOPE [SINCE].

The signed assertion comes in ASSERTION. Writes {"resources": […], "deleted": ["Type/id", …]} to stdout.
"""

import json
import os
import sys

from fhirclient.client import FHIRClient
from fhirclient.models.immunization import Immunization
from fhirclient.models.patient import Patient

base, client_id, scope, *since = sys.argv[1:]
settings = {"app_id": client_id, "api_base": base, "scope": scope, "jwt_token": os.environ["ASSERTION"]}
client = FHIRClient(settings=settings)
client.wants_patient = False  # or it would ask for launch/patient, which no backend service has
client.prepare()
client.authorize()

asked = {"_count": "7"} | ({"_lastUpdated": f"gt{since[0]}"} if since else {})
resources = [
    one.as_json()
    for model in (Patient, Immunization)
    for one in model.where(asked).perform_resources_iter(client.server)
]
deleted = []
if since:
    for resource_type in ("Patient", "Immunization"):
        history = client.server.request_json(f"{resource_type}/_history?_since={since[0].replace('+', '%2B')}")
        deleted += [one["request"]["url"] for one in history.get("entry", []) if one["request"]["method"] == "DELETE"]
json.dump({"resources": resources, "deleted": deleted}, sys.stdout)
