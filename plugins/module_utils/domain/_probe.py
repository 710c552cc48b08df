# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said on the wire when a node is probed, and what the answers mean. Pure.

Echo: RFC 792, RFC 4443. DNS: RFC 1035. TCP table: Linux, Documentation/networking/proc_net_tcp.rst.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, NamedTuple

ECHO, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
BGP_PORT = 179
VXLAN_DEVICE = {4: "vxlan.calico", 6: "vxlan-v6.calico"}
_ESTABLISHED = "01"
_RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
_TOKEN = struct.Struct("!8sI")


class Address(NamedTuple):
    """An IP address: family 4 or 6, its text as the kernel writes it."""

    family: int
    text: str


def address(text: str) -> Address:
    """Parse an address; a prefix behind it (as in Calico's annotations) is left out.

    Raises ValueError with a text that says what is wrong.
    """
    bare = text.partition("/")[0]
    family = 6 if ":" in bare else 4
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    try:
        return Address(family, socket.inet_ntop(kind, socket.inet_pton(kind, bare)))
    except OSError:
        raise ValueError(f"'{text}' is not an IP address") from None


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(family: int, ident: int, token: bytes, index: int) -> bytes:
    """Return an echo request that carries ``token`` (8 bytes) and the target's index."""
    payload = _TOKEN.pack(token, index)
    kind, sequence = ECHO[family], index & 0xFFFF
    packet = struct.pack("!BBHHH", kind, 0, 0, ident, sequence) + payload
    if family == 6:  # the kernel sums ICMPv6 itself, since the sum covers the addresses
        return packet
    return struct.pack("!BBHHH", kind, 0, checksum(packet), ident, sequence) + payload


def echo_index(family: int, packet: bytes, token: bytes, with_header: bool) -> int | None:
    """Return the index of the target that an echo reply is for, None for any other packet.

    ``with_header`` tells that the IPv4 header comes first, as raw sockets give it.
    """
    start = (packet[0] & 0x0F) * 4 if with_header and packet else 0
    body = start + 8
    if len(packet) < body + _TOKEN.size or packet[start] != ECHO_REPLY[family]:
        return None
    said, index = _TOKEN.unpack_from(packet, body)
    return int(index) if said == token else None


def dns_question(name: str, number: int) -> bytes:
    """Return the query for the A records of ``name``. Raises ValueError for what is no name."""
    labels = [part.encode("ascii", "replace") for part in name.rstrip(".").split(".")]
    if not name.isascii() or any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"'{name}' is not a DNS name")
    asked = b"".join(bytes([len(label)]) + label for label in labels)
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + asked + b"\0\0\1\0\1"


def dns_rcode(question: bytes, packet: bytes) -> str | None:
    """Return the response code of an answer to ``question``, None when it answers something else.

    An answer repeats the number and the question (its letters in either case).
    """
    if len(packet) < len(question) or packet[:2] != question[:2] or not packet[2] & 0x80:
        return None
    if packet[12 : len(question)].lower() != question[12:].lower():
        return None
    code = packet[3] & 0x0F
    return _RCODES[code] if code < len(_RCODES) else f"RCODE{code}"


def dns_error(rcode: str) -> str | None:
    """Return why an answer does not count, None when it does.

    That a name does not exist is an answer too: the way there and back works, and the cluster's
    domain may be another one.
    """
    return None if rcode in ("NOERROR", "NXDOMAIN") else f"the server answered {rcode}"


def _unpack(word: str) -> str:
    """Return the address that /proc/net/tcp writes as native words; IPv4 in IPv6 as IPv4."""
    packed = b"".join(
        struct.pack("=I", int(word[at : at + 8], 16)) for at in range(0, len(word), 8)
    )
    if len(packed) == 16 and packed[:12] == b"\0" * 10 + b"\xff\xff":
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def sessions(table: str) -> list[tuple[str, str]]:
    """Return (local, peer) of each established BGP session in the text of /proc/net/tcp or tcp6.

    Either end may be the one with port 179: both speakers try to connect, one connection stays.
    """
    found = []
    port = f":{BGP_PORT:04X}"
    for line in table.splitlines()[1:]:
        fields = line.split(None, 4)
        if len(fields) < 4 or fields[3] != _ESTABLISHED:
            continue
        if fields[1].endswith(port) or fields[2].endswith(port):
            local, peer = (_unpack(end.partition(":")[0]) for end in fields[1:3])
            found.append((local, peer))
    return found


def judge_bgp(found: list[tuple[str, str]], local: str | None, peers: list[str]) -> dict[str, Any]:
    """Return ``{local, established, missing, other}``; ``local`` None takes any local address."""
    good = [peer for mine, peer in found if local in (None, mine)]
    return {
        "local": local,
        "established": [peer for peer in peers if peer in good],
        "missing": [peer for peer in peers if peer not in good],
        "other": [
            {"local": mine, "peer": peer}
            for mine, peer in dict.fromkeys(found)
            if peer not in peers or local not in (None, mine)
        ],
    }


def judge_vxlan(nics: list[dict[str, Any]], wanted: Address) -> dict[str, Any]:
    """Return how Calico's VXLAN device stands against the address that it shall send from.

    ``nics`` is ``k8snet_nics``. The device's own local address and the interface below it, which
    has to hold that address, are what a wrong detection leaves wrong.
    """
    name = VXLAN_DEVICE[wanted.family]
    nic = next((entry for entry in nics if entry["name"] == name), None)
    answer: dict[str, Any] = {
        "device": name,
        "present": nic is not None,
        "local": None,
        "parent": None,
        "up": None,
        "expected_parent": _holder(nics, wanted.text),
        "as_expected": False,
        "error": None,
    }
    if nic is None:
        answer["error"] = f"there is no {name}"
        return answer
    answer.update(local=(nic["tunnel"] or {}).get("local"), parent=nic["parent"], up=nic["up"])
    if answer["local"] != wanted.text:
        answer["error"] = f"{name} sends from {answer['local']}, not from {wanted.text}"
    elif answer["parent"] != answer["expected_parent"]:
        holder = answer["expected_parent"] or "no interface"
        answer["error"] = f"{name} sits on {answer['parent']}, but {holder} holds {wanted.text}"
    elif not answer["up"]:
        answer["error"] = f"{name} is down"
    answer["as_expected"] = answer["error"] is None
    return answer


def _holder(nics: list[dict[str, Any]], text: str) -> str | None:
    for nic in nics:
        if any(isinstance(a, dict) and a["address"] == text for a in nic["addresses"]):
            return str(nic["name"])
    return None


def problems(found: dict[str, Any]) -> list[str]:
    """Return each thing that is not as it should be, in a sentence of plain words."""
    said = [
        f"{name} ({entry['address']}) is not reachable: {entry['error']}"
        for name, entry in found["reachable"].items()
        if not entry["ok"]
    ]
    for entry in found["dns"]:
        if entry["ok"] is False:
            where = "a pod" if entry["pod"] else "the node"
            said.append(f"DNS from {where} by {entry['server']}: {entry['error']}")
    if found["bgp"] and found["bgp"]["missing"]:
        source = found["bgp"]["local"] or "this node"
        said.append(f"no BGP session between {source} and {', '.join(found['bgp']['missing'])}")
    if found["vxlan"] and found["vxlan"]["error"]:
        said.append(str(found["vxlan"]["error"]))
    return said
