# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletes single objects by netlink: sets, nftables tables, counters, virtual servers, a link.

kube-proxy brings the tools for these in its image; the node may have none of them.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from collections.abc import Callable, Iterator

from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_ipvs import VirtualServer
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_rules_plan import Account
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink as nl

_HEADER = struct.Struct("=IHHII")
_REQUEST, _ACK, _CREATE = 0x1, 0x4, 0x400
_ERROR = 2
_GENERIC = 16
_DEL_SERVICE = 3  # IPVS_CMD_DEL_SERVICE
_SUBSYS_ACCT = 7
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NFT_NEWTABLE, _NFT_DELTABLE = nl.SUBSYS_NFTABLES << 8 | 0, nl.SUBSYS_NFTABLES << 8 | 2
_NFT_FAMILIES = {"ip": 2, "ip6": 10}
_IPSET_DESTROY = nl.SUBSYS_IPSET << 8 | 3
_ACCT_GET, _ACCT_DEL = _SUBSYS_ACCT << 8 | 1, _SUBSYS_ACCT << 8 | 3
_ACCT_NAME, _ACCT_USE = 1, 4
_RTM_DELLINK, _RTM_GETLINK = 17, 18
_IFLA_LINKINFO, _INFO_KIND = 18, 1
_IPSET_BUSY = 4100  # IPSET_ERR_BUSY in linux/netfilter/ipset/ip_set.h
_BUSY = frozenset({errno.EBUSY, _IPSET_BUSY})
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH})
_PATIENCE = 10.0
_PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}


def delete_set(name: str) -> None:
    """Destroy an ipset. Raises NetlinkError."""
    payload = nl.netfilter(socket.AF_INET) + nl.attribute(1, bytes([6]))
    payload += nl.attribute(2, _named(name))
    _released(lambda: command(nl.NETLINK_NETFILTER, _IPSET_DESTROY, payload))


def delete_table(family: str, name: str) -> None:
    """Delete an nftables table with all in it. Raises NetlinkError."""
    payload = nl.netfilter(_NFT_FAMILIES[family]) + nl.attribute(1, _named(name))
    # Made first, so that one that has gone meanwhile is no error.
    _batch([(_NFT_NEWTABLE, _CREATE, payload), (_NFT_DELTABLE, 0, payload)])


def accounts(timeout: float = 10.0) -> list[Account]:
    """Return the nfacct objects; none where nfnetlink_acct is not loaded. Raises NetlinkError."""
    if not nl.may_ask("nfnetlink_acct"):
        return []
    try:
        bodies = nl.dump(nl.NETLINK_NETFILTER, _ACCT_GET, nl.netfilter(0), timeout)
    except nl.NetlinkError as exc:
        if exc.code in nl.NOT_THERE:
            return []
        raise
    found = []
    for body in bodies:
        values = dict(nl.attributes(body, 4))
        # One reference is the list's own.
        uses = int.from_bytes(values.get(_ACCT_USE, b"\0"), "big") - 1
        found.append(Account(nl.text(values.get(_ACCT_NAME, b"")), max(0, uses)))
    return found


def delete_account(name: str) -> None:
    """Delete an nfacct object. Raises NetlinkError."""
    payload = nl.netfilter(0) + nl.attribute(_ACCT_NAME, _named(name))
    _released(lambda: command(nl.NETLINK_NETFILTER, _ACCT_DEL, payload))


def delete_servers(servers: tuple[VirtualServer, ...]) -> None:
    """Delete IPVS virtual servers one by one. Raises NetlinkError."""
    family = _generic("IPVS")
    with contextlib.closing(_socket(_GENERIC)) as channel:
        for server in servers:
            with _gone_is_fine():
                _ask(channel, family, struct.pack("=BBH", _DEL_SERVICE, 1, 0) + _server(server))


def _server(server: VirtualServer) -> bytes:
    address = str(server.address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    fields = nl.attribute(1, struct.pack("=H", family))
    fields += nl.attribute(2, struct.pack("=H", _PROTOCOLS[server.protocol]))
    fields += nl.attribute(3, socket.inet_pton(family, address).ljust(16, b"\0"))
    fields += nl.attribute(4, struct.pack(">H", server.port))
    return nl.attribute(1 | 0x8000, fields)


def _generic(name: str) -> int:
    """The number of a generic netlink family. Raises NetlinkError."""
    payload = struct.pack("=BBH", 3, 1, 0) + nl.attribute(2, _named(name))
    for body in nl.dump(_GENERIC, 16, payload, flags=0):
        number = dict(nl.attributes(body, 4)).get(1)
        if number:
            return int(struct.unpack("=H", number)[0])
    raise nl.NetlinkError(f"the kernel has no generic netlink family {name}", errno.ENOENT)


def link_kind(name: str) -> str | None:
    """Return what kind of link ``name`` is, None when there is none. Raises NetlinkError."""
    index = _index(name)
    if index is None:
        return None
    (body,) = nl.dump(nl.NETLINK_ROUTE, _RTM_GETLINK, _link(index), flags=0)
    info = dict(nl.attributes(body, 16)).get(_IFLA_LINKINFO, b"")
    return nl.text(dict(nl.attributes(info)).get(_INFO_KIND, b""))


def delete_link(name: str) -> None:
    """Delete a link. Raises NetlinkError."""
    index = _index(name)
    if index is not None:
        with _gone_is_fine():
            command(nl.NETLINK_ROUTE, _RTM_DELLINK, _link(index))


def _link(index: int) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)


def _index(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def _named(name: str) -> bytes:
    # An empty name would mean all of them, for ipset and nfacct.
    if not name:
        raise ValueError("an object without a name")
    return name.encode() + b"\0"


def _released(delete: Callable[[], None]) -> None:
    """Delete what rules have just let go: nf_tables frees them a little after its commit."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with _gone_is_fine():
                delete()
            return
        except nl.NetlinkError as exc:
            if exc.code not in _BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except nl.NetlinkError as exc:
        if exc.code not in _GONE:
            raise


def _socket(protocol: int) -> socket.socket:
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    channel.settimeout(_PATIENCE)
    channel.bind((0, 0))
    return channel


def command(protocol: int, kind: int, payload: bytes) -> None:
    """Send one request and wait for its answer. Raises NetlinkError."""
    try:
        with contextlib.closing(_socket(protocol)) as channel:
            _ask(channel, kind, payload)
    except OSError as exc:
        raise nl.NetlinkError(exc.strerror or str(exc), exc.errno or 0) from exc


def _ask(channel: socket.socket, kind: int, payload: bytes) -> None:
    channel.send(_message(kind, _ACK, 1, payload))
    _answer(channel, 1)


def _message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    size = _HEADER.size + len(payload)
    return _HEADER.pack(size, kind, _REQUEST | flags, sequence, 0) + payload


def _batch(messages: list[tuple[int, int, bytes]]) -> None:
    """Have nf_tables do all or nothing. Raises NetlinkError."""
    border = struct.pack(">BBH", 0, 0, nl.SUBSYS_NFTABLES)
    data = _message(_BATCH_BEGIN, 0, 0, border)
    last = len(messages)
    for number, (kind, flags, payload) in enumerate(messages, 1):
        data += _message(kind, flags | (_ACK if number == last else 0), number, payload)
    data += _message(_BATCH_END, 0, last + 1, border)
    try:
        with contextlib.closing(_socket(nl.NETLINK_NETFILTER)) as channel:
            channel.send(data)
            _answer(channel, last)
    except OSError as exc:
        raise nl.NetlinkError(exc.strerror or str(exc), exc.errno or 0) from exc


def _answer(channel: socket.socket, last: int) -> None:
    """Wait for the answer to request ``last``, or for a refusal of any. Raises NetlinkError."""
    while True:
        data = channel.recv(1 << 16)
        offset = 0
        while offset + _HEADER.size <= len(data):
            size, kind, _flags, sequence, _port = _HEADER.unpack_from(data, offset)
            if kind == _ERROR:
                code = -int(struct.unpack_from("=i", data, offset + _HEADER.size)[0])
                if code:
                    raise nl.NetlinkError(_text(code), code)
                if sequence == last:
                    return
            offset += max(_HEADER.size, (size + 3) & ~3)


def _text(code: int) -> str:
    if code in _BUSY:
        return "it is in use"
    return "no permission" if code == errno.EPERM else f"{errno.errorcode.get(code, code)}"
