"""Addresses of servers that run already: only those of this machine, and those that the user names, may be loaded."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from harness.errors import EngineError

ALLOW = "HARNESS_ALLOW_HOSTS"
"""Environment variable with further hosts, separated by commas."""


def checked_url(url: str) -> str:
    """The address of a server without its path, if we may load it.

    Args:
        url: Address, with or without `/v1` at its end.

    Raises:
        EngineError: It is no address of a server, or its host is neither this machine nor named in `ALLOW`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _no_address(url, str(error)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise _no_address(url, "it needs a scheme and a host")
    if parts.username or parts.password:
        raise _no_address(f"{parts.scheme}://***@{host}", "it may not contain a user or password")
    if parts.query or parts.fragment or parts.path.rstrip("/") not in ("", "/v1"):
        raise _no_address(url, "it ends after the port or with /v1")
    if not (_is_loopback(host) or host in _allowed()):
        raise EngineError(
            f"the host {host} is not this machine, and a benchmark would load it (url)",
            f"if you may load it, set the environment variable {ALLOW}={host}",
            refused=True,
        )
    literal = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{literal}" + ("" if port is None else f":{port}")


def _no_address(url: str, reason: str) -> EngineError:
    return EngineError(f"{url!r} is not the address of a server: {reason} (url)", "write it as http://127.0.0.1:8000", refused=True)


def _allowed() -> set[str]:
    return {host.strip().lower() for host in os.environ.get(ALLOW, "").split(",")} - {""}


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone: other names are not looked up, since their address may change."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
