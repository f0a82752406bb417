import json

import pytest

from fhir_gateway.cli.app import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    (tmp_path / "environments").mkdir()
    return tmp_path / "environments"


def test_list_shows_every_environment_and_what_is_wrong_with_it(folder, capsys):
    (folder / "good.toml").write_text('[fhir_server]\nbase_url = "https://fhir.example.org/fhir"\n')
    (folder / "bad.toml").write_text('[fhir_server]\nbase_url = "https://u:geheim@x/fhir"\n')
    assert run(["env", "list", "--json"]) == 0
    out = capsys.readouterr().out
    listed = {each["name"]: each for each in json.loads(out)}
    assert listed["good"]["base_url"] == "https://fhir.example.org/fhir"
    assert listed["embedded"]["problems"] == []
    assert "environments/bad.toml:2:1: base_url must hold no user name" in listed["bad"]["problems"][0]
    assert "geheim" not in out
    assert run(["env", "list"]) == 0
    assert "https://fhir.example.org/fhir" in capsys.readouterr().out


def test_check_says_which_searches_work_on_the_embedded_server(folder, capsys):
    assert run(["env", "check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["environment"], found["reached"], found["fhir_version"], found["problem"]) == (
        "embedded",
        True,
        "4.0.1",
        "",
    )
    assert all(search["works"] for search in found["searches"])
    assert run(["env", "check", "embedded"]) == 0
    assert capsys.readouterr().out.endswith("the environment can be used\n")


def test_check_of_an_unknown_environment_is_wrong_usage(folder, capsys):
    assert run(["env", "check", "embeded"]) == 2
    assert "did you mean embedded?" in capsys.readouterr().err


def test_a_name_that_is_empty_is_no_environment(folder, capsys):
    assert run(["env", "check", ""]) == 2
    assert "an environment's name has letters" in capsys.readouterr().err
