"""A FHIR server's search in order of lastUpdated, with the habits of servers: page caps, links or none, ties."""

from datetime import datetime, timedelta

from fhir_gateway.ports.registry import PulledPage

START = datetime.fromisoformat("2024-01-01T00:00:00+00:00")


class OrderedServer:
    """Fulfils ports.FhirPuller; `moments` are seconds after START at which resource r0, r1 … were written."""

    def __init__(self, moments, *, cap=1000, links=True, ordered=True, total=None):
        self.resources = {}
        for number, moment in enumerate(moments):
            self.write(f"r{number}", moment)
        self.cap = cap
        self.links = links
        self.ordered = ordered
        self.total = total
        self.asked = []

    def write(self, name, moment):
        written = (START + timedelta(seconds=moment)).isoformat()
        self.resources[name] = {"resourceType": "Immunization", "id": name, "meta": {"lastUpdated": written}}

    async def page(self, resource_type, pairs):
        self.asked.append(pairs)
        found = sorted(self.resources.values(), key=lambda one: one["meta"]["lastUpdated"])
        given = dict(pairs)
        if given["_sort"].startswith("-"):
            found.reverse()
        found = [one for one in found if _within(one["meta"]["lastUpdated"], given.get("_lastUpdated", ""))]
        if not self.ordered:
            found.reverse()
        return self._cut(found, 0, min(int(given["_count"]), self.cap))

    async def following(self, resource_type, link):
        start, size, *ids = link.split("|")
        return self._cut([self.resources[one] for one in ids], int(start), int(size))

    async def count(self, resource_type, pairs):
        return len(self.resources)

    def _cut(self, found, start, size):
        more = start + size < len(found)
        link = "|".join([str(start + size), str(size), *(one["id"] for one in found)]) if more and self.links else ""
        return PulledPage(tuple(found[start : start + size]), link, self.total)


def _within(written, bound):
    if not bound:
        return True
    moment, limit = datetime.fromisoformat(written), datetime.fromisoformat(bound[2:])
    return {"ge": moment >= limit, "gt": moment > limit, "le": moment <= limit, "lt": moment < limit}[bound[:2]]
