"""Pulls with fhirpy: BASE [SINCE]; the access token comes in TOKEN.

Writes {"resources": […], "deleted": ["Type/id", …]} to stdout.
"""

import json
import os
import sys

from fhirpy import SyncFHIRClient

base, *since = sys.argv[1:]
client = SyncFHIRClient(base, authorization=f"Bearer {os.environ['TOKEN']}")

resources, deleted = [], []
for resource_type in ("Patient", "Immunization"):
    found = client.resources(resource_type).limit(9).sort("_lastUpdated")
    if since:
        found = found.search(_lastUpdated=f"gt{since[0]}")
        history = client.execute(f"{resource_type}/_history", method="get", params={"_since": since[0]})
        deleted += [one["request"]["url"] for one in history.get("entry", []) if one["request"]["method"] == "DELETE"]
    resources += [one.serialize() for one in found]
json.dump({"resources": resources, "deleted": deleted}, sys.stdout)
