"""Which addresses are this very machine's: no proxy leads there, and no eavesdropper stands between."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
