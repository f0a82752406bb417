"""`[registry]`: what registries may pull, and how much at once."""

from dataclasses import dataclass

from fhir_gateway.settings.toml_tables import TomlTable


@dataclass(frozen=True, slots=True)
class RegistryPolicy:
    """What registries may pull, and how much at once.

    `requests_per_minute` and `tokens_per_minute` are per client. `key_days` is after how many days a new signing key
    takes over. `settling_seconds`: how long a foreign FHIR server may need until what it has stamped can be found by a search.
    `exports_at_once` is how many bulk exports of one client may be under way, `export_hours` how long a finished one's
    files are kept.
    """

    requests_per_minute: int = 1200
    tokens_per_minute: int = 60
    key_days: int = 90
    settling_seconds: float = 2.0
    exports_at_once: int = 2
    export_hours: float = 24.0


def read_registry(table: TomlTable) -> RegistryPolicy:
    """Read the table; faults are noted in its file's problems."""
    own = RegistryPolicy()
    policy = RegistryPolicy(
        requests_per_minute=table.integer("requests_per_minute", own.requests_per_minute, most=1_000_000),
        tokens_per_minute=table.integer("tokens_per_minute", own.tokens_per_minute, most=10_000),
        key_days=table.integer("key_days", own.key_days, most=3650),
        settling_seconds=table.number("settling_seconds", own.settling_seconds, least=0, most=3600),
        exports_at_once=table.integer("exports_at_once", own.exports_at_once, most=100),
        export_hours=table.number("export_hours", own.export_hours, least=0.1, most=24 * 90),
    )
    table.finish()
    return policy
