"""Environments that are wrong: told before anything is begun, with file, line and what would be right."""

import pytest
from tests.flows.conftest import RATNA
from tests.flows.wrong_usage import refused


def environment(place, text, name="region"):
    folder = place.home / "environments"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(text)
    return place.sheet(RATNA)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fhir_server\n", "no TOML"),
        ('[fhir_server]\nbase_url = "https://x.test/fhir"\nbatchsize = 1\n', "did you mean batch_size"),
        ("[fhir_server]\n", "base_url is missing"),
        ('[fhir_server]\nbase_url = "https://x.test/fhir"\nbatch_size = "many"\n', "region.toml:3"),
        ('[fhir_server]\nbase_url = "https://user:geheim@x.test/fhir"\n', "auth"),
        (
            (
                '[fhir_server]\nbase_url = "https://x.test/fhir"\n'
                '[fhir_server.auth]\ntype = "bearer"\ntoken_env = "NO_SUCH_VARIABLE"\n'
            ),
            "NO_SUCH_VARIABLE",
        ),
        ('[fhir_server]\nbase_url = "embedded"\n[time]\nzone = "Asia/Jakrta"\n', "did you mean Asia/Jakarta"),
    ],
)
def test_an_environment_with_faults_names_file_and_line(place, text, words):
    err = refused(place, "load", environment(place, text), "--env", "region")
    assert words in err
    assert "environments/region.toml" in err
    assert "geheim" not in err


@pytest.mark.parametrize("name", ["console", "health", "metrics", "docs", "Docs"])
def test_reserved_names_are_no_environments(place, name):
    path = environment(place, '[fhir_server]\nbase_url = "embedded"\n', name=name)
    assert "may be called" in refused(place, "load", path, "--env", name)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", ".hidden", "x" * 80])
def test_names_that_are_no_names_are_refused(place, name):
    refused(place, "load", place.sheet(RATNA), "--env", name)


def test_an_unknown_environment_is_told_with_those_that_there_are(place):
    environment(place, '[fhir_server]\nbase_url = "embedded"\n', name="purbalingga")
    err = refused(place, "load", place.sheet(RATNA), "--env", "purbalinga")
    assert "did you mean purbalingga" in err
    assert "embedded" in refused(place, "load", place.sheet(RATNA), "--env", "zzz")
