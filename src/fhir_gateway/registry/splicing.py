"""A resource as the bytes that a server keeps, its reference telling whom it leads to, without being read or written anew.

`"reference":` cannot occur inside of a text, where quotes are escaped: so references can be counted and found by their
bytes, and what enriching.enrich would add is put before the only one.
"""

import re

_REFERENCE = b'"reference":'
_PATIENT = re.compile(rb'"patient":\{"reference":"Patient/([A-Za-z0-9\-.]{1,64})"\}')


def sole_patient(body: bytes) -> str | None:
    """Return the id of the Patient to whom the only reference of a resource leads, "" where it has no reference.

    None where there is more to it: then the resource has to be read. `body` is compact JSON.
    """
    references = body.count(_REFERENCE)
    if not references:
        return ""
    if references > 1 or b'"contained":' in body:
        return None
    found = _PATIENT.search(body)
    return found[1].decode() if found else None


def told_line(body: bytes, person: bytes) -> bytes:
    """Return a resource whose only reference tells whom it leads to (sole_patient has found that), on one line.

    `person` is what enriching.person_of says, as compact JSON.
    """
    added = person[1:-1]
    return body.replace(_REFERENCE, added + b"," + _REFERENCE) if added else body
