"""The server's address: what may stand in it, and that nothing is ever sent elsewhere."""

from typing import Any
from urllib.parse import unquote

import httpx

from fhir_gateway.domain.errors import UntrustedAnswerError
from fhir_gateway.fhir.references import parse_literal


def base_url_problem(base_url: str) -> str:
    """Return what is wrong with a FHIR server's base URL, "" if nothing."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        return "base_url is no URL"
    if url.scheme not in {"http", "https"} or not url.host:
        return "base_url must begin with http:// or https:// and name a host"
    if url.userinfo:
        return "base_url must hold no user name or password; use [fhir_server.auth]"
    if url.query or url.fragment:
        return "base_url must end with the path: no ? and no #"
    return ""


def same_origin(left: httpx.URL, right: httpx.URL) -> bool:
    """Return whether both URLs lead to the same scheme, host and port."""
    return (left.scheme, left.host, _port(left)) == (right.scheme, right.host, _port(right))


def local_target(base: str, link: str) -> str | None:
    """Return a paging link's path below `base` with its query, None where it leads outside of the base path.

    Servers behind a proxy write their public host, or `localhost` for 127.0.0.1, into links: path and query count,
    the host stays ours. A slash before the `?` is taken away (seen on several servers).
    """
    try:
        base_url, url = httpx.URL(base.rstrip("/") + "/"), httpx.URL(base.rstrip("/") + "/").join(link)
    except (httpx.InvalidURL, ValueError):
        return None
    path, prefix = url.raw_path.split(b"?", 1)[0].decode("ascii"), base_url.raw_path.decode("ascii")
    query = url.query.decode("ascii")
    if path.rstrip("/") == prefix.rstrip("/"):
        below = ""
    elif path.startswith(prefix):
        below = path[len(prefix) :].rstrip("/")
    elif not same_origin(url, base_url):
        # A proxy in front may map another path to ours: then the last segment is all that can be kept.
        below = path.rstrip("/").rsplit("/", 1)[-1]
    else:
        return None
    if ".." in unquote(below).split("/"):
        return None
    return below + (f"?{query}" if query else "")


def next_link(bundle: Any) -> str:
    """Return a Bundle's next link, "" where it has none; relative where it leads below the base of its own resources.

    A proxy may map another path to the one below which the server sees itself: the addresses that it gives its resources
    (`fullUrl`) tell that path, and only what stands behind it is the same on our side.
    """
    links = bundle.get("link") if isinstance(bundle, dict) else None
    found = (link.get("url") for link in _dicts(links) if link.get("relation") == "next")
    link = next((url for url in found if isinstance(url, str)), "")
    addresses = (entry.get("fullUrl") for entry in _dicts(bundle.get("entry"))) if link else ()
    literals = (parse_literal(address) for address in addresses if isinstance(address, str))
    own = next((literal.base for literal in literals if literal and literal.base), "")
    below = link.removeprefix(own.rstrip("/")) if own else link
    return "./" + below.lstrip("/") if below != link and below[:1] in {"", "/", "?"} else link


def next_target(base: str, link: str, of: str) -> str:
    """Return what local_target() does; raises UntrustedAnswerError, naming what the link continues, where it is None."""
    target = local_target(base, link)
    if target is None:
        raise UntrustedAnswerError(f"The next link of {of} leads outside of base_url")
    return target


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)
