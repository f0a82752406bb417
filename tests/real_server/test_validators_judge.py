"""Two validators that we did not write judge what the gateway converts: HAPI's FhirInstanceValidator and Medplum's."""

import json
from pathlib import Path

import pytest
from tests.real_server.conftest import require
from tests.real_server.messages import immunization, patient
from tests.real_server.servers import HAPI_VALIDATOR, MEDPLUM_VALIDATOR, Software, run_validator

from fhir_gateway.cli.app import run
from fhir_gateway.cli.exit_codes import LEFT_OPEN

pytestmark = pytest.mark.real_server

MAPPINGS = Path(__file__).parents[2] / "mappings"
SAMPLES = sorted(path for path in MAPPINGS.glob("*/sample*") if path.suffix in {".csv", ".xlsx", ".ndjson"})


@pytest.fixture(params=[HAPI_VALIDATOR, MEDPLUM_VALIDATOR], ids=lambda software: software.name)
def validator(request: pytest.FixtureRequest) -> Software:
    require(request.param)
    return request.param


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every shipped sample as NDJSON."""
    folder = tmp_path_factory.mktemp("converted")
    outputs = []
    for sample in SAMPLES:
        output = folder / f"{sample.parent.name}-{sample.stem}.ndjson"
        code = run(["convert", str(sample), "--mapping", sample.parent.name, "--out", str(output)])
        assert code in {0, LEFT_OPEN}
        outputs.append(output)
    return outputs


def judge(validator: Software, *files: Path) -> list[dict]:
    return [json.loads(line) for line in run_validator(validator, files).splitlines()]


def write(path: Path, *resources: dict) -> Path:
    path.write_text("".join(json.dumps(resource) + "\n" for resource in resources))
    return path


def test_a_validator_tells_right_from_wrong(validator, tmp_path):
    wrong_date = {**patient("2"), "birthDate": "2020-13-01"}
    half = {"resourceType": "Immunization", "status": "completed"}
    unknown = {**patient("3"), "nonsense": 1}
    file = write(tmp_path / "mixed.ndjson", patient("1"), wrong_date, immunization("a"), half, unknown)
    assert [bool(judgement["errors"]) for judgement in judge(validator, file)] == [False, True, False, True, True]


def test_every_resource_of_the_samples_is_valid(validator, converted):
    resources = sum(len(file.read_text().splitlines()) for file in converted)
    judgements = judge(validator, *converted)
    faults = [(Path(one["file"]).stem, one["line"], one["errors"]) for one in judgements if one["errors"]]
    assert faults == []
    assert len(judgements) == resources
    assert {sample.parent.name for sample in SAMPLES} >= {"asik", "puskesmas", "simrs-khanza"}
    assert resources > 600  # three samples of 200 rows and more
