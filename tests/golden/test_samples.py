"""The first rows of every shipped sample become exactly the golden bundles in sample_bundles/.

After a wanted change of a mapping, write them anew: python tests/golden/test_samples.py
"""

import json
import tempfile
from pathlib import Path

import pytest

from fhir_gateway.bootstrap import Conversion
from fhir_gateway.fhir.validation import validate
from fhir_gateway.sources.mapping_folders import shipped_mappings

BUNDLES = Path(__file__).parents[2] / "sample_bundles"
ROWS = 15
SAMPLES = {
    "simrs-khanza-rs-a": ("simrs-khanza/sample-rs-a.csv", "rs-a"),
    "simrs-khanza-rs-b": ("simrs-khanza/sample-rs-b.csv", "rs-b"),
    "asik": ("asik/sample.xlsx", ""),
    "puskesmas": ("puskesmas/sample.csv", ""),
}


class Silence:
    """Shows no progress."""

    def phase(self, name, total=None):
        pass

    def advance(self, done, share=None):
        pass


def bundle_of(name, folder):
    """Return a sample's first rows as a collection Bundle."""
    sample, clinic = SAMPLES[name]
    out = folder / "out.ndjson"
    Conversion(shipped_mappings() / sample, mapping="", clinic=clinic, limit=ROWS).run(out, None, Silence())
    resources = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    entries = [{"fullUrl": f"urn:fhir-gateway:{r['resourceType']}:{r['id']}", "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_becomes_its_golden_bundle(name, tmp_path):
    assert bundle_of(name, tmp_path) == json.loads((BUNDLES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_golden_bundle_is_valid(name):
    bundle = json.loads((BUNDLES / f"{name}.json").read_text(encoding="utf-8"))
    assert validate(bundle) == ()
    assert bundle["entry"]


if __name__ == "__main__":
    for golden in SAMPLES:
        with tempfile.TemporaryDirectory() as scratch:
            text = json.dumps(bundle_of(golden, Path(scratch)), indent=1, ensure_ascii=False)
            (BUNDLES / f"{golden}.json").write_text(text + "\n", encoding="utf-8")
