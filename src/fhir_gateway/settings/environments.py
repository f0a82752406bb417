"""An environment: which server, which ledger, which clinics; no two environments share anything."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import cast, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem, UsageError
from fhir_gateway.embedded_server.address import BASE_URL
from fhir_gateway.fhir_server.address import base_url_problem
from fhir_gateway.fhir_server.policy import (
    AuthPolicy,
    BasicAuth,
    BearerAuth,
    BundleType,
    ClientCredentialsAuth,
    FhirServerPolicy,
    NoAuth,
    Secret,
)
from fhir_gateway.identity.parameters import (
    THRESHOLDS,
    MatchingParameters,
    MatchingPolicy,
    default_parameters,
    load_parameters,
)
from fhir_gateway.mapping.functions import ClinicEntry
from fhir_gateway.settings.audit import AuditPolicy, read_audit
from fhir_gateway.settings.merging import MergingPolicy, read_merging
from fhir_gateway.settings.registry import RegistryPolicy, read_registry
from fhir_gateway.settings.serving import ServingPolicy, read_serving
from fhir_gateway.settings.toml_tables import TomlTable, read_toml

EMBEDDED = "embedded"
"""The default environment: it needs no file and runs the embedded server inside the process."""
DEMO = "demo"
"""The environment of `demo`: like the default one, but its own."""

_RESERVED = ("console", "health", "metrics", "docs")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_CLINIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ORGANIZATION = re.compile(r"Organization/[A-Za-z0-9.-]{1,64}")
_DEFAULT_ZONE = "Asia/Jakarta"
_AUTH_TYPES = ("none", "bearer", "basic", "client_credentials")
_WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Environment:
    """One region's settings. `home` is the working folder; `embedded_data` is None where the server is another's."""

    name: str
    home: Path
    fhir_server: FhirServerPolicy
    ledger_url: str = field(repr=False)
    matching: MatchingPolicy
    clinics: Mapping[str, ClinicEntry]
    zone: ZoneInfo
    embedded_data: Path | None
    serving: ServingPolicy = field(default_factory=ServingPolicy)
    audit: AuditPolicy = field(default_factory=AuditPolicy)
    merging: MergingPolicy = field(default_factory=MergingPolicy)
    registry: RegistryPolicy = field(default_factory=RegistryPolicy)

    @property
    def folder(self) -> Path:
        """Where the gateway keeps what belongs to this environment alone."""
        return _data_folder(self.name, self.home)

    @property
    def history_key(self) -> Path:
        """Where the key that signs checkpoints is kept if `[audit]` names none."""
        return self.folder / "history-key.pem"

    @property
    def settling(self) -> timedelta:
        """How long what the server has stamped may still be missing from its searches; its own server misses nothing."""
        return timedelta(seconds=0 if self.embedded_data else self.registry.settling_seconds)

    @property
    def auth(self) -> AuthPolicy:
        """How the server is asked for access."""
        return self.fhir_server.auth

    @property
    def shown_url(self) -> str:
        """The server's address as it may be shown."""
        return EMBEDDED if self.embedded_data else without_credentials(self.fhir_server.base_url)


def home() -> Path:
    """Return the working folder: `$FHIR_GATEWAY_HOME`, else the current one; raises UsageError for a file."""
    folder = Path(os.environ.get("FHIR_GATEWAY_HOME") or ".").resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError("FHIR_GATEWAY_HOME names a file; it has to be a folder")
    return folder


def environment_names(home: Path) -> list[str]:
    """Return the environments of a working folder: those with a file, and the default one."""
    files = (path.stem for path in (home / "environments").glob("*.toml"))
    return sorted({EMBEDDED, *files})


def load_environment(name: str, home: Path) -> Environment:
    """Read an environment; raises ConfigurationError that names every fault with file and line."""
    shown = f"environments/{name}.toml"
    if problem := _name_problem(name):
        raise ConfigurationError([ConfigurationProblem(shown, 0, 0, problem)])
    path = home / "environments" / f"{name}.toml"
    if not path.exists() and name in {EMBEDDED, DEMO}:
        return _embedded_environment(name, home)
    if not path.exists():
        raise _no_such(name, shown, home)
    file, table = read_toml(path, name=shown, folder=home)
    ledger = table.table("ledger")
    server, embedded_data = _fhir_server(table.table("fhir_server"), name, home)
    environment = Environment(
        name=name,
        home=home,
        fhir_server=server,
        ledger_url=_ledger_url(ledger, name, home),
        matching=_matching(table.table("matching"), home),
        clinics=_clinics(table.table("clinics")),
        zone=_zone(table.table("time")),
        embedded_data=embedded_data,
        serving=read_serving(table.table("serving")),
        audit=read_audit(table.table("audit")),
        merging=read_merging(table.table("merging")),
        registry=read_registry(table.table("registry")),
    )
    table.finish()
    if sharing := _sharing_ledger(environment):
        ledger.add_problem("url", f"is the ledger of environment {sharing} too", "give each environment its own")
    file.check()
    return environment


def without_credentials(url: str) -> str:
    """Return a URL without user name, password and query, so that it may be shown."""
    return re.sub(r"//.*@", "//", url.partition("?")[0])


def _embedded_environment(name: str, home: Path) -> Environment:
    return Environment(
        name=name,
        home=home,
        fhir_server=FhirServerPolicy(BASE_URL),
        ledger_url=_default_ledger(name, home),
        matching=MatchingPolicy(),
        clinics=MappingProxyType({}),
        zone=_default_zone(),
        embedded_data=_data_folder(name, home),
    )


def _name_problem(name: str) -> str:
    if name.lower() in _RESERVED:
        return f"no environment may be called {name}: the gateway serves its own pages under that name"
    if not _NAME.fullmatch(name):
        return "an environment's name has letters, digits, - and _ only, 63 at most, and begins with a letter or digit"
    return ""


def _no_such(name: str, shown: str, home: Path) -> ConfigurationError:
    known = environment_names(home)
    near = difflib.get_close_matches(name, known, n=1)
    suggestion = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    message = f"there is no such file in {home}, so no environment '{name}'"
    return ConfigurationError([ConfigurationProblem(shown, 0, 0, message, suggestion)])


def _data_folder(name: str, home: Path) -> Path:
    return home / ".fhir-gateway" / name


def _fhir_server(table: TomlTable, name: str, home: Path) -> tuple[FhirServerPolicy, Path | None]:
    defaults = FhirServerPolicy("")
    base_url = table.text("base_url", EMBEDDED if name == EMBEDDED else "").rstrip("/")
    if not base_url:
        table.add_problem("base_url", "fhir_server.base_url is missing", 'write the server\'s address, or "embedded"')
    elif base_url != EMBEDDED and (problem := base_url_problem(base_url)):
        table.add_problem("base_url", problem)
    policy = FhirServerPolicy(
        base_url=BASE_URL if base_url == EMBEDDED else base_url,
        batch_size=table.integer("batch_size", defaults.batch_size, most=1000),
        max_in_flight=table.integer("max_in_flight", defaults.max_in_flight, most=16),
        requests_per_second=table.number("requests_per_second", defaults.requests_per_second, least=0, most=10_000),
        bundle_type=cast("BundleType", table.choice("bundle_type", defaults.bundle_type, get_args(BundleType))),
        timeout=table.number("timeout", defaults.timeout, least=0.1, most=3600),
        wait_for_server=table.number("wait_for_server", defaults.wait_for_server, least=0, most=_WEEK),
        masked_identifiers=table.flag("masked_identifiers", default=defaults.masked_identifiers),
        auth=_auth(table.table("auth")),
    )
    table.finish()
    return policy, _data_folder(name, home) if base_url == EMBEDDED else None


def _auth(table: TomlTable) -> AuthPolicy:
    kind = table.choice("type", "none", _AUTH_TYPES)
    auth: AuthPolicy = NoAuth()
    if kind == "bearer":
        auth = BearerAuth(Secret(table.secret("token", required=True)))
    elif kind == "basic":
        auth = BasicAuth(_needed(table, "username"), Secret(table.secret("password", required=True)))
    elif kind == "client_credentials":
        auth = ClientCredentialsAuth(
            token_url=_token_url(table),
            client_id=_needed(table, "client_id"),
            client_secret=Secret(table.secret("client_secret", required=True)),
            scope=table.text("scope"),
        )
    table.finish()
    return auth


def _needed(table: TomlTable, key: str) -> str:
    value = table.text(key)
    if not value:
        table.add_problem(key, f"fhir_server.auth.{key} is missing")
    return value


def _token_url(table: TomlTable) -> str:
    url = _needed(table, "token_url")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        sound = False
    if url and not sound:
        table.add_problem("token_url", "token_url must begin with http:// or https://, without user name or password")
    return url


def _ledger_url(table: TomlTable, name: str, home: Path) -> str:
    url = table.text("url")
    secret = table.secret("url", required=False)
    if url and secret:
        table.add_problem("url", "the ledger is named twice", "keep url or url_env")
    url = secret or url or _default_ledger(name, home)
    table.finish()
    if url.startswith("postgres"):
        table.add_problem("url", "a ledger in PostgreSQL is not possible yet, only in SQLite", "sqlite:///PATH")
    elif not re.match(r"sqlite(\+pysqlite)?:///.", url):
        table.add_problem("url", "the ledger is no database that can be used", "sqlite:///PATH")
    return _in_home(url, home)


def _sharing_ledger(environment: Environment) -> str:
    """Return another environment whose file names the same ledger, "" if none (variables are not looked into)."""
    for other in environment_names(environment.home):
        path = environment.home / "environments" / f"{other}.toml"
        if other != environment.name and path.exists():
            try:
                _, table = read_toml(path, name=other, folder=environment.home)
            except ConfigurationError:
                continue  # told when that environment is used
            url = table.table("ledger").text("url")
            if url and _in_home(url, environment.home) == environment.ledger_url:
                return other
    return ""


def _in_home(url: str, home: Path) -> str:
    """Return the URL with a SQLite file's path made absolute."""
    scheme, separator, path = url.partition(":///")
    return f"{scheme}:///{home / path}" if scheme.startswith("sqlite") and separator and path else url


def _default_ledger(name: str, home: Path) -> str:
    return f"sqlite:///{_data_folder(name, home) / 'ledger.db'}"


def _matching(table: TomlTable, home: Path) -> MatchingPolicy:
    shipped = MatchingPolicy()
    bits = {name: table.number(name, getattr(shipped, name), least=-100, most=100) for name in THRESHOLDS}
    policy = replace(shipped, **bits, parameters=_parameters(table, home))
    for problem in policy.problems():
        table.add_problem("", f"matching: {problem}")
    table.finish()
    return policy


def _parameters(table: TomlTable, home: Path) -> MatchingParameters:
    """Return the shipped parameters, with those of the environment's own file in their places."""
    shipped = default_parameters()
    name = table.text("parameters")
    if not name:
        return shipped
    try:
        return load_parameters((home / name).read_text("utf-8-sig"), file=name, base=shipped)
    except (OSError, UnicodeDecodeError):
        table.add_problem(
            "parameters", f"the file {name} cannot be read as text", "a path starts at the working folder"
        )
    except ConfigurationError as error:
        for problem in error.problems:
            table.add_problem("parameters", f"{problem.file}: {problem.message}")
    return shipped


def _clinics(table: TomlTable) -> Mapping[str, ClinicEntry]:
    clinics = {}
    for clinic, entry in table.tables().items():
        if not _CLINIC.fullmatch(clinic):
            table.add_problem(clinic, "a clinic's id has letters, digits, . - and _ only, 63 at most")
        name, organization = entry.text("name"), entry.text("organization")
        entry.finish()
        if _ORGANIZATION.fullmatch(organization):
            clinics[clinic] = ClinicEntry(name, reference=organization)
        else:
            system, _, value = organization.rpartition("|")
            clinics[clinic] = ClinicEntry(name, identifier_system=system, identifier_value=value)
    return MappingProxyType(clinics)


def _default_zone() -> ZoneInfo:
    """Return the zone that holds where none is given; raises UsageError on a system without a table of time zones."""
    try:
        return ZoneInfo(_DEFAULT_ZONE)
    except ZoneInfoNotFoundError as error:
        raise UsageError(
            "this system has no table of time zones: install its package tzdata, or Python's of the same name"
        ) from error


def _zone(table: TomlTable) -> ZoneInfo:
    name = table.text("zone", _DEFAULT_ZONE)
    table.finish()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, sorted(available_timezones()), n=1)
        suggestion = f"did you mean {near[0]}?" if near else "as Asia/Jakarta, Asia/Makassar, Asia/Jayapura"
        table.add_problem("zone", f"there is no time zone '{name}'", suggestion)
        return _default_zone()
