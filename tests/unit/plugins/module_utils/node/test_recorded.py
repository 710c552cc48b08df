# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both back ends, fed what one real kernel said of the zoo at one moment.

``recorded/zoo.json`` holds the output of ``ip -j -d -batch`` and the netlink datagrams of a lab
node with the interfaces of ``tests/integration/zoo/zoo.sh`` (without the NIC with 200 addresses).
"""

from __future__ import annotations

import base64
import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _iproute,
    _links,
    _netlink,
    _rtnetlink,
)

RECORDED = Path(__file__).parent / "recorded" / "zoo.json"


class ScriptedSocket:
    """Replays netlink datagrams, with the sequence numbers of the requests."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self.datagrams = iter(datagrams)
        self.requests: list[bytes] = []

    def __call__(self, *_arguments: Any) -> ScriptedSocket:
        return self

    def settimeout(self, _seconds: float) -> None: ...

    def bind(self, _address: Any) -> None: ...

    def setsockopt(self, *_arguments: int) -> None: ...

    def close(self) -> None: ...

    def send(self, data: bytes) -> None:
        self.requests.append(data)

    def recv(self, _size: int) -> bytes:
        return next(self.datagrams)


@pytest.fixture
def recorded() -> Any:
    return json.loads(RECORDED.read_text())


def by_ip(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> _links.Snapshot:
    def run(_command: Any, **_options: Any) -> Any:
        out = recorded["ip_stdout"].encode("utf-8", "surrogateescape")
        return subprocess.CompletedProcess([], 0, out, recorded["ip_stderr"].encode())

    monkeypatch.setattr(_iproute.subprocess, "run", run)
    monkeypatch.setattr(_iproute, "find", lambda: "/sbin/ip")
    return _iproute.read([tuple(target) for target in recorded["targets"]])


def by_netlink(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> _links.Snapshot:
    data = [zlib.decompress(base64.b64decode(item)) for item in recorded["netlink"]]
    monkeypatch.setattr(_netlink.socket, "socket", ScriptedSocket(data))
    codec = _netlink.load()
    assert codec is not None
    return _rtnetlink.read(codec, [tuple(target) for target in recorded["targets"]])


def test_both_back_ends_give_the_identical_result(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ip, netlink = by_ip(recorded, monkeypatch), by_netlink(recorded, monkeypatch)
    for one, other in zip(ip.links, netlink.links):
        # `ip` leaves the permanent MAC out when it is the present one; the driver is asked then.
        one["permanent_mac"] = one["permanent_mac"] or other["permanent_mac"]
    assert json.dumps(ip) == json.dumps(netlink)
    assert len(ip.links) == 52


@pytest.mark.parametrize("read", [by_ip, by_netlink])
def test_what_the_script_built_is_what_is_read(
    read: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {link["name"]: link for link in read(recorded, monkeypatch).links}
    assert links["zd0.181.7"]["info_kind"] == "vlan"
    assert (links["zd0.181.7"]["vlan_id"], links["zd0.181.7"]["link"]) == (7, "zd0.181")
    assert links["zd2"]["master"] == "zbr"
    assert links["zfar.9"]["link"] is None
    assert links["zvx4"]["link"] == "zd0"
    assert links["zd0"]["altnames"] == ["zd0-alternative-name-longer-than-15", "zd0-second"]
    assert (links["ztun"]["tun_type"], links["ztap"]["tun_type"]) == ("tun", "tap")
    assert [a["address"] for a in links["ztun"]["addresses"]] == ["10.97.5.1"]
    assert {a["label"] for a in links["zd0"]["addresses"]} == {None, "zd0:vip"}
    assert links["tunl0"]["mac"] is None
    assert links["zd0"]["mac"] == "02:00:00:00:0d:00"
    odd = [
        "eth0~",
        "a'b",
        'q"x',
        "back\\slash",
        "tic\\'k",
        "ünï",
        "fifteen-chars-x",
        "raw\\x80\\xff",
    ]
    assert [name for name in links if name in odd] == odd


@pytest.mark.parametrize("read", [by_ip, by_netlink])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("zvx4", (42, "10.97.0.1", "10.97.0.9", 4789)),
        ("zvx6", (43, "2001:db8:97::1", "ff05::100", 8472)),
        ("zvxe", (None, None, None, 4790)),
        ("zgen4", (77, None, "10.97.0.9", 6081)),
        ("zgen6", (78, None, "2001:db8:97::9", 6082)),
        ("zgene", (None, None, None, 6083)),
        ("zipip", (None, "10.97.0.1", "10.97.0.9", None)),
        ("zsit", (None, "10.97.0.1", "10.97.0.9", None)),
        ("zgre", (5, "10.97.0.1", "10.97.0.9", None)),
        ("zgretap", (None, "10.97.0.1", "10.97.0.9", None)),
        ("tunl0", (None, None, None, None)),
    ],
)
def test_tunnels_have_their_end_points(
    read: Any, name: str, expected: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {link["name"]: link for link in read(recorded, monkeypatch).links}
    tunnel = links[name]["tunnel"]
    assert (tunnel["id"], tunnel["local"], tunnel["remote"], tunnel["port"]) == expected


@pytest.mark.parametrize("read", [by_ip, by_netlink])
def test_default_routes_are_those_of_the_main_table_by_metric(
    read: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = read(recorded, monkeypatch).routes
    assert [(r["gateway"], r["metric"], r["source"]) for r in routes["inet"]] == [
        ("10.160.1.1", 0, None),
        ("10.97.0.254", 5000, "10.97.0.2"),
        ("10.97.0.253", 6000, None),
        ("10.97.0.252", 6000, None),
        ("fe80::97", 7000, None),
    ]
    assert [(r["gateway"], r["metric"]) for r in routes["inet6"]] == [
        ("2001:db8:97::fe", 5000),
        ("2001:db8:97::fd", 6000),
        ("2001:db8:97::fc", 6000),
    ]


@pytest.mark.parametrize("read", [by_ip, by_netlink])
def test_route_look_ups_say_where_to_or_why_not(
    read: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read(recorded, monkeypatch).found
    seen = [(f["source"], f["interface"], f["gateway"], f["error"]) for f in found]
    assert seen == [
        ("10.97.0.1", "zd0", None, None),
        (None, None, None, "Invalid argument"),
        (None, None, None, "Permission denied"),
        (None, None, None, "No route to host"),
        ("10.160.1.21", "lo", None, None),
        ("10.160.1.21", "eth0", "10.160.1.1", None),
        (None, None, None, "No route to host"),
        ("2001:db8:97::1", "zd0", None, None),
    ]


@pytest.mark.parametrize("read", [by_ip, by_netlink])
def test_flags_of_addresses_are_spelled_alike(
    read: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {link["name"]: link for link in read(recorded, monkeypatch).links}
    flags = {a["address"]: a["flags"] for name in ("zd0", "zv6") for a in links[name]["addresses"]}
    assert flags["10.97.0.2"] == ["secondary", "permanent"]
    assert flags["10.97.0.100"] == ["permanent", "noprefixroute"]
    assert flags["10.97.8.1"] == ["deprecated", "permanent"]
    assert flags["2001:db8:77::5"] == ["nodad", "permanent", "mngtmpaddr"]
    assert flags["2001:db8:77::6"] == ["nodad", "deprecated", "permanent"]
    assert [kinds for kinds in flags.values() if "temporary" in kinds] == [["temporary"]]


def test_an_interruption_reported_by_the_kernel_is_passed_on(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not by_ip(recorded, monkeypatch).interrupted
    assert not by_netlink(recorded, monkeypatch).interrupted
    recorded["ip_stderr"] = (
        "Dump was interrupted and may be inconsistent.\n" + recorded["ip_stderr"]
    )
    assert by_ip(recorded, monkeypatch).interrupted
    first = bytearray(zlib.decompress(base64.b64decode(recorded["netlink"][0])))
    first[6] |= 0x10
    recorded["netlink"][0] = base64.b64encode(zlib.compress(bytes(first))).decode()
    assert by_netlink(recorded, monkeypatch).interrupted


def test_a_refusal_over_netlink_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = _netlink.struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1)
    monkeypatch.setattr(_netlink.socket, "socket", ScriptedSocket([refusal]))
    codec = _netlink.load()
    assert codec is not None
    with pytest.raises(_links.ReadError, match=r"over netlink: .*Operation not permitted"):
        _rtnetlink.read(codec, [])


def test_kernels_that_list_all_tables_are_filtered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def route(table: int, kind: int = 1, dst_len: int = 0, flags: int = 0) -> bytes:
        body = _netlink.struct.pack("=BBBBBBBBI", 2, dst_len, 0, 0, table & 0xFF, 4, 0, kind, flags)
        body += _netlink.attribute(15, table.to_bytes(4, "little"))
        body += _netlink.attribute(5, bytes([10, 0, 0, kind]))
        return _netlink.struct.pack("=IHHII", 16 + len(body), 24, 2, 3, 0) + body

    def done(sequence: int) -> bytes:
        return _netlink.struct.pack("=IHHIIi", 20, 3, 2, sequence, 0, 0)

    others = [route(1002), route(254, kind=7), route(254, flags=0x200), route(254, dst_len=8)]
    datagrams = [done(1), done(2), b"".join([*others, route(254)]) + done(3), done(4)]
    monkeypatch.setattr(_netlink.socket, "socket", ScriptedSocket(datagrams))
    codec = _netlink.load()
    assert codec is not None
    routes = _rtnetlink.read(codec, []).routes
    assert [entry["gateway"] for entry in routes["inet"]] == ["10.0.0.1"]
    assert routes["inet6"] == []
