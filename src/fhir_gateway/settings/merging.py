"""`[merging]`: how duplicates are merged on the server."""

from dataclasses import dataclass

from fhir_gateway.settings.toml_tables import TomlTable


@dataclass(frozen=True, slots=True)
class MergingPolicy:
    """Whether the server's own `Patient/$merge` does what it can, where it offers one; the gateway does the rest."""

    use_server_merge: bool = False


def read_merging(table: TomlTable) -> MergingPolicy:
    """Read the table; faults are noted in its file's problems."""
    policy = MergingPolicy(table.flag("use_server_merge", default=False))
    table.finish()
    return policy
