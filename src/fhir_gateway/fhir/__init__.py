"""FHIR R4 itself: structure, references, bundles and outcomes as plain JSON."""
