"""A server's content in a form that two servers share: no ids, no versions, no times of the server."""

from fhir_gateway.domain import systems


def canonical(patients, doses):
    """Return Patients by the gateway's own identifier, each with its doses by theirs."""
    names = {patient_id: own(patient, systems.PERSON) for patient_id, patient in patients.items()}
    result = {name: (bare(patients[patient_id]), {}) for patient_id, name in names.items()}
    assert len(result) == len(patients), "a Patient stands twice"
    for dose in doses.values():
        patient = names[dose["patient"]["reference"].removeprefix("Patient/")]
        key = own(dose, systems.DOSE)
        assert key not in result[patient][1], "a dose stands twice"
        result[patient][1][key] = {name: value for name, value in bare(dose).items() if name != "patient"}
    return result


def own(resource, system):
    return next(i["value"] for i in resource["identifier"] if i["system"] == system)


def bare(resource):
    meta = {"source": resource["meta"]["source"].partition("#")[0]}  # HAPI writes the request's id behind it
    return {**{name: value for name, value in resource.items() if name not in {"id", "text"}}, "meta": meta}
