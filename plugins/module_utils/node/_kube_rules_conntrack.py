# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists and deletes entries of the connection tracking by netlink: few nodes have a tool."""

from __future__ import annotations

import socket

from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_rules_flows import Flow
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink as nl
from ansible_collections.k8snet.cni.plugins.module_utils.node._kube_rules_netlink import command

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_ORIGINAL, _REPLY, _ID, _ZONE = 1, 2, 12, 18
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_NESTED = 0x8000
_FAMILIES = {int(socket.AF_INET): (1, 2), int(socket.AF_INET6): (3, 4)}


def flows(timeout: float = 30.0) -> list[Flow]:
    """Return the entries; none where nf_conntrack is not loaded. Raises NetlinkError."""
    if not (nl.may_ask("nf_conntrack") and nl.may_ask("nf_conntrack_netlink")):
        return []
    found = []
    for body in nl.dump(nl.NETLINK_NETFILTER, _GET, nl.netfilter(0), timeout):
        family = body[0]
        values = dict(nl.attributes(body, 4))
        if family not in _FAMILIES or not {_ORIGINAL, _REPLY, _ID} <= set(values):
            continue
        protocol, _source, _port, destination, port = _tuple(family, values[_ORIGINAL])
        _same, answerer, answering, _back, _to = _tuple(family, values[_REPLY])
        zone = int.from_bytes(values.get(_ZONE, b""), "big")
        flow = Flow(family, protocol, zone, destination, port, answerer, answering, b"", b"")
        found.append(flow._replace(original=values[_ORIGINAL], number=values[_ID]))
    return found


def delete(flow: Flow) -> None:
    """Delete one entry, unless another has taken its place. Raises NetlinkError."""
    payload = nl.netfilter(flow.family) + nl.attribute(_ORIGINAL | _NESTED, flow.original)
    command(nl.NETLINK_NETFILTER, _DELETE, payload + nl.attribute(_ID, flow.number))


def _tuple(family: int, data: bytes) -> tuple[int, str, int, str, int]:
    """(protocol, source address, port, destination address, port); ports 0 where there are none."""
    values = dict(nl.attributes(data))
    addresses = dict(nl.attributes(values.get(_TUPLE_IP, b"")))
    proto = dict(nl.attributes(values.get(_TUPLE_PROTO, b"")))
    source, destination = _FAMILIES[family]
    return (
        proto.get(1, b"\0")[0],
        socket.inet_ntop(family, addresses[source]),
        int.from_bytes(proto.get(2, b""), "big"),
        socket.inet_ntop(family, addresses[destination]),
        int.from_bytes(proto.get(3, b""), "big"),
    )
