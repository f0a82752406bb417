"""Other people's FHIR servers over HTTP: patient, paced, and believing nothing that was not proved."""
