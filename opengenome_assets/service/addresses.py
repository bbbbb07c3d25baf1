"""Names and addresses of hosts, as headers and settings have them.

Belongs here: what a name is. Does not belong here: which names the server has (``guards.py``, ``settings.py``).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def host_name(host: str) -> str:
    """Return the name or address in a header Host, without its port and brackets, in small letters."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def is_address(name: str) -> bool:
    """Tell whether a host is given by its address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_trustworthy(url: str) -> bool:
    """Tell whether nobody on the way can change what comes from a URL: it is of https, or of this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    is_here = host == "localhost" or (is_address(host) and ip_address(host).is_loopback)
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_here))
