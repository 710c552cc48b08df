# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists ipsets, by netlink: kube-proxy brings its own ``ipset``, the node may have none."""

from __future__ import annotations

import socket
import struct

from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_ipvs import NodePort
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy import IpSet
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink as nl

_LIST = nl.SUBSYS_IPSET << 8 | 7
_PROTOCOL_VERSION = 6  # What every kernel that has ipset understands (linux/netfilter/ipset).
_ATTR_PROTOCOL, _ATTR_SETNAME, _ATTR_TYPENAME, _ATTR_FLAGS, _ATTR_DATA, _ATTR_ADT = 1, 2, 3, 6, 7, 8
_FLAG_LIST_HEADER = 1 << 2
_DATA_IP, _DATA_PORT, _DATA_PROTOCOL, _DATA_ELEMENTS, _DATA_REFERENCES = 1, 4, 7, 24, 25
_PROTOCOLS = {6: "TCP", 17: "UDP", 132: "SCTP"}


def sets(timeout: float = 10.0) -> list[IpSet]:
    """Every set without its members; none where ip_set is not loaded. Raises NetlinkError."""
    if not nl.may_ask("ip_set"):
        return []
    payload = _request() + nl.attribute(_ATTR_FLAGS, struct.pack(">I", _FLAG_LIST_HEADER))
    try:
        bodies = nl.dump(nl.NETLINK_NETFILTER, _LIST, payload, timeout)
    except nl.NetlinkError as exc:
        if exc.code in nl.NOT_THERE:
            return []
        raise
    found = []
    for body in bodies:
        values = dict(nl.attributes(body, 4))
        if _ATTR_TYPENAME not in values:
            continue
        header = dict(nl.attributes(values.get(_ATTR_DATA, b"")))
        entries = int.from_bytes(header.get(_DATA_ELEMENTS, b""), "big")
        name = nl.text(values.get(_ATTR_SETNAME, b""))
        held = int.from_bytes(header.get(_DATA_REFERENCES, b""), "big")
        found.append(IpSet(name, nl.text(values[_ATTR_TYPENAME]), entries, held))
    return found


def node_ports(name: str, timeout: float = 10.0) -> set[NodePort]:
    """The members of a ``KUBE-NODE-PORT-*`` set. Raises NetlinkError."""
    payload = _request() + nl.attribute(_ATTR_SETNAME, name.encode() + b"\0")
    found = set()
    for body in nl.dump(nl.NETLINK_NETFILTER, _LIST, payload, timeout):
        members = dict(nl.attributes(body, 4)).get(_ATTR_ADT, b"")
        for _kind, member in nl.attributes(members):
            values = dict(nl.attributes(member))
            if _DATA_PORT in values:
                port = int.from_bytes(values[_DATA_PORT], "big")
                # bitmap:port sets have no protocol; kube-proxy tells it in the set's name.
                number = values.get(_DATA_PROTOCOL, b"\0")[0]
                found.add(NodePort(_PROTOCOLS.get(number) or _by_name(name), port, _ip(values)))
    return found


def _request() -> bytes:
    version = nl.attribute(_ATTR_PROTOCOL, bytes([_PROTOCOL_VERSION]))
    return nl.netfilter(socket.AF_INET) + version


def _by_name(name: str) -> str:
    return next((p for p in _PROTOCOLS.values() if p in name), "")


def _ip(values: dict[int, bytes]) -> str | None:
    for kind, raw in nl.attributes(values.get(_DATA_IP, b"")):
        if kind in (1, 2):
            return socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, raw)
    return None
