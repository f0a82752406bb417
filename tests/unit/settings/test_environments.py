import re
import tomllib
from dataclasses import fields
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest

from fhir_gateway.domain.errors import ConfigurationError, UsageError
from fhir_gateway.fhir_server.policy import BasicAuth, BearerAuth, ClientCredentialsAuth, FhirServerPolicy
from fhir_gateway.identity.parameters import THRESHOLDS, MatchingPolicy
from fhir_gateway.settings import (
    DEMO,
    EMBEDDED,
    Environment,
    environment_names,
    environments,
    home,
    load_environment,
    without_credentials,
)

EXAMPLE = Path(__file__).parents[3] / "environments" / "example.toml"
BASE = '[fhir_server]\nbase_url = "https://fhir.example.org/fhir/"\n'


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "region") -> Environment:
        (tmp_path / "environments").mkdir(exist_ok=True)
        (tmp_path / "environments" / f"{name}.toml").write_text(text)
        return load_environment(name, tmp_path)

    return write


@pytest.fixture
def problems(written):
    def read(text: str) -> list[str]:
        with pytest.raises(ConfigurationError) as error:
            written(text)
        return [str(problem) for problem in error.value.problems]

    return read


@pytest.mark.parametrize("name", [EMBEDDED, DEMO])
def test_built_in_environments_need_no_file_and_share_nothing(tmp_path, name):
    environment = load_environment(name, tmp_path)
    assert environment.embedded_data == tmp_path / ".fhir-gateway" / name
    assert environment.ledger_url == f"sqlite:///{tmp_path}/.fhir-gateway/{name}/ledger.db"
    assert environment.shown_url == "embedded"


def test_a_system_without_time_zones_is_told(tmp_path, monkeypatch):
    def missing(name):
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(environments, "ZoneInfo", missing)
    with pytest.raises(UsageError, match="install its package tzdata"):
        load_environment(EMBEDDED, tmp_path)


def test_everything_but_the_base_url_has_a_default(written):
    environment = written(BASE)
    assert environment.fhir_server == FhirServerPolicy("https://fhir.example.org/fhir")
    assert environment.matching == MatchingPolicy()
    assert environment.zone.key == "Asia/Jakarta"
    assert environment.embedded_data is None
    assert environment.ledger_url.endswith("/.fhir-gateway/region/ledger.db")


def test_example_is_valid_complete_and_states_the_defaults(written):
    text = EXAMPLE.read_text()
    environment = written(text, "example")
    server = tomllib.loads(text)["fhir_server"]
    assert set(server) == {each.name for each in fields(FhirServerPolicy)}
    assert environment.fhir_server == FhirServerPolicy(server["base_url"])
    stated = dict(re.findall(r"^# (\w+) = (-?[\d.]+) ", text, re.MULTILINE))
    assert {name: float(value) for name, value in stated.items()} == {
        n: getattr(MatchingPolicy(), n) for n in THRESHOLDS
    }
    assert environment.clinics["rs-contoh"].identifier_value == "1000001"


def test_environment_may_weigh_by_a_file_of_its_own(written, tmp_path):
    (tmp_path / "region.toml").write_text("[phone.agree]\nm = 0.7\norigin = 'counted here'\n")
    environment = written(BASE + '[matching]\nparameters = "region.toml"\n')
    assert environment.matching.parameters.probabilities["phone.agree"].m == 0.7


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("other.toml", "environments/region.toml:4:1: the file other.toml cannot be read as text"),
        ("region.toml", "environments/region.toml:4:1: region.toml: phone.agre: there is no such parameter"),
    ],
)
def test_faulty_file_of_parameters_is_named_with_its_key(problems, tmp_path, file, said):
    (tmp_path / "region.toml").write_text("[phone.agre]\nm = 0.7\norigin = 'counted here'\n")
    (found,) = problems(BASE + f'[matching]\nparameters = "{file}"\n')
    assert found.startswith(said)


def test_own_embedded_server_of_an_environment_is_not_the_default_ones(written, tmp_path):
    environment = written('[fhir_server]\nbase_url = "embedded"\n')
    assert environment.embedded_data == tmp_path / ".fhir-gateway" / "region"


def test_unknown_keys_are_named_with_their_nearest_and_their_line(problems):
    found = problems(BASE + "batchsize = 5\n[fhir_server.auth]\ntyp = 'none'\n[leger]\nurl = 'x'\n")
    assert found == [
        "environments/region.toml:3:1: unknown key 'fhir_server.batchsize' (did you mean batch_size?)",
        "environments/region.toml:5:1: unknown key 'fhir_server.auth.typ' (did you mean type?)",
        "environments/region.toml:6:1: unknown key 'leger' (did you mean ledger?)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size = '5'", "fhir_server.batch_size must be a whole number from 1 to 1000"),
        ("batch_size = 0", "fhir_server.batch_size must be a whole number from 1 to 1000"),
        ("batch_size = true", "fhir_server.batch_size must be a whole number from 1 to 1000"),
        ("max_in_flight = 17", "fhir_server.max_in_flight must be a whole number from 1 to 16"),
        ("timeout = 0", "fhir_server.timeout must be a number from 0.1 to 3600"),
        ("timeout = nan", "fhir_server.timeout must be a number from 0.1 to 3600"),
        ("masked_identifiers = 1", "fhir_server.masked_identifiers must be true or false"),
        ("bundle_type = 'transactions'", "did you mean transaction?"),
        ("auth = 1", "fhir_server.auth must be a table"),
        ("[time]\nzone = 'Asia/Jakata'", "there is no time zone 'Asia/Jakata' (did you mean Asia/Jakarta?)"),
        ("[time]\nzone = '../etc/passwd'", "there is no time zone"),
        ("[ledger]\nurl = 'mysql://x/y'", "the ledger is no database that can be used"),
        ("[ledger]\nurl = 'sqlite://'", "the ledger is no database that can be used"),
        ("[ledger]\nurl = 'sqlite+aiosqlite:///a.db'", "the ledger is no database that can be used"),
        ("[ledger]\nurl = 'postgresql+psycopg://h/d'", "not possible yet, only in SQLite"),
        ("[matching]\ncertain = 1.0", "matching: possible, probable and certain must not fall"),
        ("[clinics.'a b']\nname = 'x'", "a clinic's id has letters"),
        ("[clinics.a]\nnama = 'x'", "unknown key 'clinics.a.nama' (did you mean name?)"),
    ],
)
def test_wrong_values_are_told(problems, text, message):
    (found,) = problems(BASE + text)
    assert message in found
    assert "geheim" not in found


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "base_url is missing"),
        ("ftp://x", "must begin with http"),
        ("https://user:geheim@host/fhir", "no user name or password"),
        ("https://host/fhir?key=geheim", "no ?"),
    ],
)
def test_wrong_base_urls_are_told_without_their_credentials(problems, url, message):
    (found,) = problems(f'[fhir_server]\nbase_url = "{url}"')
    assert message in found
    assert "geheim" not in found


def test_secrets_come_from_variables_or_files_and_are_never_shown(written, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "geheim")
    (tmp_path / "secret").write_text("geheim\n")
    bearer = written(BASE + "[fhir_server.auth]\ntype = 'bearer'\ntoken_env = 'TOKEN'\n").auth
    assert isinstance(bearer, BearerAuth)
    assert bearer.token.value == "geheim"
    basic = written(BASE + "[fhir_server.auth]\ntype = 'basic'\nusername = 'u'\npassword_file = 'secret'\n")
    assert isinstance(basic.auth, BasicAuth)
    assert basic.auth.password.value == "geheim"
    auth = "type = 'client_credentials'\ntoken_url = 'https://x/t'\nclient_id = 'c'\nclient_secret_env = 'TOKEN'\nscope = 's'"
    client = written(BASE + f"[fhir_server.auth]\n{auth}\n").auth
    assert isinstance(client, ClientCredentialsAuth)
    assert "geheim" not in repr((bearer, basic, client))


def test_missing_secrets_are_told(problems, monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    auth = BASE + "[fhir_server.auth]\ntype = 'bearer'\n"
    assert "needs token_env or token_file" in problems(auth)[0]
    assert "the environment variable NOT_THERE is not set" in problems(auth + "token_env = 'NOT_THERE'")[0]
    assert "is empty or cannot be read" in problems(auth + "token_file = 'none'")[0]
    assert "both name it" in problems(auth + "token_file = 'none'\ntoken_env = 'X'")[0]


@pytest.mark.parametrize(
    ("kind", "key"), [("bearer", "token"), ("basic", "password"), ("client_credentials", "client_secret")]
)
def test_a_secret_in_the_file_is_refused_with_what_to_write_instead(problems, kind, key):
    found = problems(BASE + f"[fhir_server.auth]\ntype = '{kind}'\n{key} = 'geheim'\n")
    assert any(f"{key}: a secret never stands in this file (write {key}_env =" in problem for problem in found)
    assert "geheim" not in "".join(found)


def test_ledger_paths_start_in_the_working_folder(written, tmp_path, monkeypatch):
    assert written(BASE + "[ledger]\nurl = 'sqlite:///a/b.db'").ledger_url == f"sqlite:///{tmp_path}/a/b.db"
    assert written(BASE + "[ledger]\nurl = 'sqlite:////a/b.db'").ledger_url == "sqlite:////a/b.db"
    monkeypatch.setenv("LEDGER", "sqlite:///a/c.db")
    assert written(BASE + "[ledger]\nurl_env = 'LEDGER'").ledger_url == f"sqlite:///{tmp_path}/a/c.db"


def test_a_ledger_in_postgresql_is_refused_without_its_password(problems, monkeypatch):
    monkeypatch.setenv("LEDGER", "postgresql+psycopg://u:geheim@h/d")
    (problem,) = problems(BASE + "[ledger]\nurl_env = 'LEDGER'")
    assert "only in SQLite" in problem
    assert "geheim" not in problem


def test_two_environments_may_not_share_a_ledger(written):
    written(BASE + "[ledger]\nurl = 'sqlite:///shared.db'", "one")
    with pytest.raises(ConfigurationError, match="is the ledger of environment one too"):
        written(BASE + "[ledger]\nurl = 'sqlite:///./shared.db'", "two")


def test_clinics_name_their_organization_in_three_ways(written):
    text = "[clinics.a]\norganization = '1'\n[clinics.b]\norganization = 'urn:s|2'\n[clinics.c]\norganization = 'Organization/3'"
    clinics = written(BASE + text).clinics
    assert clinics["a"].identifier_value == "1"
    assert (clinics["b"].identifier_system, clinics["b"].identifier_value) == ("urn:s", "2")
    assert clinics["c"].reference == "Organization/3"


@pytest.mark.parametrize("name", ["console", "Health", "metrics", "docs", "../x", "a/b", "", "-a", "a" * 64])
def test_names_that_no_environment_may_have(tmp_path, name):
    with pytest.raises(ConfigurationError, match="name"):
        load_environment(name, tmp_path)


def test_unknown_environment_is_told_with_the_nearest(written, tmp_path):
    written(BASE, "purbalingga")
    with pytest.raises(ConfigurationError, match=r"no environment 'purbalinga' \(did you mean purbalingga\?\)"):
        load_environment("purbalinga", tmp_path)
    assert environment_names(tmp_path) == ["embedded", "purbalingga"]


def test_file_that_is_no_toml_is_told_with_its_place(problems):
    (found,) = problems("[fhir_server]\nbase_url = x\n")
    assert found.startswith("environments/region.toml:2:12: is no TOML")


def test_a_home_that_is_a_file_is_wrong_usage(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(path))
    with pytest.raises(UsageError, match="FHIR_GATEWAY_HOME names a file"):
        home()


def test_home_is_the_variables_or_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("FHIR_GATEWAY_HOME")
    monkeypatch.chdir(tmp_path.parent)
    assert home() == tmp_path.parent


def test_urls_are_shown_without_credentials():
    assert without_credentials("https://u:p@h:1/fhir?k=v") == "https://h:1/fhir"
    assert without_credentials("https://u:p/p@h/fhir") == "https://h/fhir"
    assert without_credentials("sqlite:////a/b.db") == "sqlite:////a/b.db"


def test_the_servers_own_merge_is_used_only_where_that_is_said(written, problems):
    assert written(BASE).merging.use_server_merge is False
    assert written(BASE + "[merging]\nuse_server_merge = true\n").merging.use_server_merge is True
    (told,) = problems(BASE + "[merging]\nuse_servers_merge = true\n")
    assert "use_server_merge" in told
