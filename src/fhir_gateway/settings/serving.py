"""`[serving]`: how an environment is served."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fhir_gateway.settings.toml_tables import TomlTable


@dataclass(frozen=True, slots=True)
class ServingPolicy:
    """How an environment is served.

    `public_url` is the address under which clients reach the gateway ("" where it is the one that it listens on),
    `session_minutes` is how long a login to the console lasts without being used.
    """

    public_url: str = ""
    session_minutes: int = 30

    @property
    def public_host(self) -> str:
        """The public address's host name in lower case, "" where there is none."""
        return urlsplit(self.public_url).hostname or ""


def read_serving(table: TomlTable) -> ServingPolicy:
    """Read the table; faults are noted in its file's problems."""
    defaults = ServingPolicy()
    public_url = table.text("public_url", defaults.public_url).rstrip("/")
    if public_url and not _sound(public_url):
        table.add_problem(
            "public_url", "serving.public_url must be http:// or https:// and a host, and nothing of a query"
        )
        public_url = ""
    minutes = table.integer("session_minutes", defaults.session_minutes, most=24 * 60)
    table.finish()
    return ServingPolicy(public_url=public_url, session_minutes=minutes)


def _sound(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    bare = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare
