# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Service or the API server says to a node, and what that means. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit

MODES = ("iptables", "ipvs", "nftables")
#: An API server that wants to know who asks is one, too, once its certificate was right.
_ANSWERS = (200, 401, 403)


class Where(NamedTuple):
    """Host (name or address, without brackets) and port of an API server."""

    host: str
    port: int


def api_server(url: str) -> Where:
    """Return where ``https://host:port`` is. Raises ValueError that says what is wrong.

    Antrea takes neither a path nor a slash at the end.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"'{url}' is no URL: {error}") from None
    if parts.scheme != "https":
        raise ValueError(f"'{url}' does not begin with https://")
    if parts.path or parts.query or parts.fragment or url.endswith(("?", "#")):
        slash = ", not even a slash" if parts.path == "/" else ""
        raise ValueError(f"'{url}' has something behind the port; nothing may be there{slash}")
    if not parts.hostname or parts.username is not None or any(c.isspace() for c in url):
        raise ValueError(f"'{url}' is not of the form https://host:port")
    if not port:
        raise ValueError(f"'{url}' names no port, such as https://{parts.hostname}:6443")
    return Where(parts.hostname, port)


def judge_status(status: int, body: str) -> str | None:
    """Return what is wrong with an answer to GET /readyz, None if nothing is."""
    if status in _ANSWERS:
        return None
    said = " ".join(body.split())[:120]
    return f"it answered {status} to GET /readyz" + (f": {said}" if said else "")


def mode_of(said: str) -> str | None:
    """Return the mode that kube-proxy reports at /proxyMode, None for anything else."""
    mode = said.strip().lower()
    return mode if mode in MODES else None


def dns_names(servers: list[str]) -> list[tuple[str, str]]:
    """Return what a question to each server is called, over UDP and over TCP."""
    more = [""] + [f" at {server}" for server in servers[1:]]
    return [(f"DNS over UDP{at}", f"DNS over TCP{at}") for at, _server in zip(more, servers)]


def problems(found: dict[str, Any]) -> list[str]:
    """Return each thing that does not answer, in a sentence."""
    said = []
    api = found["api"]
    if api and not api["ok"]:
        said.append(f"{api['url']}: {api['error']}")
    for entry in found["connections"] + found["dns"]:
        if entry["ok"] is False:
            where = "a pod" if entry["pod"] else "the node"
            said.append(f"{entry['name']} from {where}: {entry['error']}")
    return said
