"""`[audit]`: the key that signs checkpoints of the history of merges."""

from dataclasses import dataclass

from fhir_gateway.fhir_server.policy import Secret
from fhir_gateway.settings.toml_tables import TomlTable


@dataclass(frozen=True, slots=True)
class AuditPolicy:
    """How the history is signed: `signing_key` is a private key's text, None where the gateway makes one of its own."""

    signing_key: Secret | None = None


def read_audit(table: TomlTable) -> AuditPolicy:
    """Read the table; faults are noted in its file's problems."""
    text = table.secret("signing_key", required=False)
    table.finish()
    return AuditPolicy(Secret(text) if text else None)
