# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the agents reach the API, host and port, without a Service in between. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

Obj = dict[str, Any]

#: Where the addresses are from.
OVERRIDE, ENDPOINTS, KUBECONFIG = "override", "endpoints", "kubeconfig"
_LOOPBACK = ("127.", "::1", "localhost")


def api_servers(override: str | None, endpoints: Obj | None, server: str) -> Obj:
    """Return ``{source, addresses}``, each address as host:port.

    The agents' kubeAPIServerOverride if there is one; else what stands behind the Service
    default/kubernetes, whose EndpointSlice is ``endpoints``; else ``server``, the URL that the
    kubeconfig names. A loopback address says nothing to a node: it is left out.
    """
    if override:
        return {"source": OVERRIDE, "addresses": _of_url(override)}
    found = _behind(endpoints or {})
    if found:
        return {"source": ENDPOINTS, "addresses": found}
    addresses = [a for a in _of_url(server) if not a.strip("[").startswith(_LOOPBACK)]
    return {"source": KUBECONFIG if addresses else None, "addresses": addresses}


def _behind(endpoints: Obj) -> list[str]:
    ports = [p.get("port") for p in endpoints.get("ports") or () if p.get("port")]
    addresses = [a for e in endpoints.get("endpoints") or () for a in e.get("addresses") or ()]
    return sorted({_joined(str(address), int(port)) for address in addresses for port in ports})


def _of_url(text: str) -> list[str]:
    """Return host:port of a URL, of host:port or of a host alone: HTTPS where nothing is said."""
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return []
    return [_joined(parts.hostname, port)] if parts.hostname else []


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
