# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One consistent list, whatever happens while the kernel lists; and what it costs with 200 pods."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _facts,
    _host,
    _links,
    _netlink,
    _nics,
)

ROUTES: dict[str, Any] = {"inet": [], "inet6": []}


def link(index: int, name: str) -> dict[str, Any]:
    return {"ifindex": index, "name": name}


def snapshot(*links: dict[str, Any], interrupted: bool = False) -> _links.Snapshot:
    return _links.Snapshot(list(links), ROUTES, [], interrupted)


def reading(monkeypatch: pytest.MonkeyPatch, reads: list[Any], present: list[Any]) -> list[str]:
    """Play reads and the names seen after each (the last repeats); return the names settled on."""
    states = iter(present)
    last: list[Any] = []

    def names() -> Any:
        last[:] = [next(states, last[0] if last else None)]
        return last[0]

    monkeypatch.setattr(_nics.socket, "if_nameindex", names)
    played = iter(reads)
    result = _nics.settle(lambda _targets: next(played), [])
    assert next(played, None) is None, "read less often than expected"
    return [entry["name"] for entry in result.links]


LO, ETH, POD, NEW = link(1, "lo"), link(2, "eth0"), link(9, "pod"), link(10, "new")


def seen(*links: dict[str, Any]) -> list[tuple[int, str]]:
    return [(entry["ifindex"], entry["name"]) for entry in links]


def test_a_quiet_node_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reading(monkeypatch, [snapshot(LO, ETH)], [seen(LO, ETH)]) == ["lo", "eth0"]


def test_an_interface_that_vanished_meanwhile_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = [snapshot(LO, ETH, POD), snapshot(LO, ETH)]
    assert reading(monkeypatch, reads, [seen(LO, ETH), seen(LO, ETH)]) == ["lo", "eth0"]


def test_an_interface_renamed_meanwhile_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = link(2, "eth0~")
    reads = [snapshot(LO, ETH), snapshot(LO, renamed)]
    assert reading(monkeypatch, reads, [seen(LO, renamed)] * 2) == ["lo", "eth0~"]


def test_an_interruption_that_the_kernel_reports_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = [snapshot(LO, interrupted=True), snapshot(LO, ETH)]
    assert reading(monkeypatch, reads, [seen(LO), seen(LO, ETH)]) == ["lo", "eth0"]


def test_a_node_that_never_rests_is_read_a_few_times_and_nothing_there_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A list interrupted at the wrong place may miss an interface that is there all the time.
    reads = [snapshot(LO, ETH, POD), *[snapshot(LO, POD, NEW, interrupted=True)] * 4]
    assert reading(monkeypatch, reads, [seen(LO, ETH, NEW)]) == ["lo", "eth0", "new"]


def test_backends_can_be_chosen_by_tests_only_if_they_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_netlink, "load", lambda: None)
    assert _nics.gather()["backend"] == "iproute2"
    with pytest.raises(_links.ReadError, match="pyroute2"):
        _nics.gather(backend="pyroute2")


def test_pyroute2_is_used_when_it_can_be_imported_without_importing_all_of_it() -> None:
    assert _nics.gather()["backend"] == "pyroute2"
    program = (
        "import sys\n"
        "from ansible_collections.k8snet.cni.plugins.module_utils.node import _netlink\n"
        "assert _netlink.load() is not None\n"
        "assert 'asyncio' not in sys.modules\n"
        "assert not [name for name in sys.modules if name.startswith('pyroute2')]\n"
        "import pyroute2\n"
        "pyroute2.IPRoute\n"
    )
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_another_layout_of_pyroute2_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "pyroute2").mkdir()
    (tmp_path / "pyroute2" / "__init__.py").write_text("raise RuntimeError('broken')\n")
    (tmp_path / "pyroute2" / "netlink.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _netlink.load() is None


def test_facts_have_every_key_and_read_the_same_twice() -> None:
    options: dict[str, Any] = {"reach": [], "reach_timeout": 1, "include_pod_interfaces": False}
    facts, _backend = _facts.nics(**options)
    assert sorted(facts) == [
        "k8snet_default_routes",
        "k8snet_nic_counts",
        "k8snet_nic_drift",
        "k8snet_nic_fingerprint",
        "k8snet_nics",
        "k8snet_node",
        "k8snet_reach",
    ]


@pytest.mark.parametrize(
    ("hosts", "fqdn"),
    [
        ("127.0.0.1 localhost\n10.0.0.5 node1.example node1 # node1.other\n", "node1.example"),
        ("10.0.0.5 node1\n", "node1"),
        ("# 10.0.0.5 node1.example node1\n", "node1"),
        ("10.0.0.5 node1 node1.example\n", "node1.example"),
    ],
)
def test_the_full_name_comes_from_the_hosts_file(hosts: str, fqdn: str, tmp_path: Any) -> None:
    path = tmp_path / "hosts"
    path.write_text(hosts)
    assert _host._fqdn("node1", str(path)) == fqdn
    assert _host._fqdn("node1.named.so", str(path)) == "node1.named.so"
    assert _host._fqdn("node1", str(tmp_path / "none")) == "node1"


@pytest.mark.netns
def test_200_pods_cost_8_kb_of_facts_and_both_back_ends_agree() -> None:
    program = (
        "import json\n"
        "from ansible_collections.k8snet.cni.plugins.module_utils.node import _nics\n"
        "print(json.dumps([_nics.gather(['10.0.0.9'], backend=name)"
        " for name in ('iproute2', 'pyroute2')]))\n"
    )
    commands = ["link add eth0 type veth peer name out", "address add 10.0.0.5/24 dev eth0"]
    commands += [f"link set {name} up" for name in ("lo", "eth0", "out")]
    commands += ["route add default via 10.0.0.1"]
    commands += [f"link add cali{n:03} type veth peer name pod{n:03}" for n in range(200)]
    # Without IPv6: its addresses turn from tentative to permanent between the two reads.
    quiet = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; "
    script = quiet + "ip -batch - && mount -t sysfs sysfs /sys && exec {} -c '{}'".format(
        sys.executable, program.replace("'", "'\\''")
    )
    result = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script],
        input="".join(command + "\n" for command in commands),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    ip, netlink = json.loads(result.stdout)
    assert (ip.pop("backend"), netlink.pop("backend")) == ("iproute2", "pyroute2")
    assert json.dumps(ip) == json.dumps(netlink)
    assert ip["counts"]["unlisted"]["veth"] >= 400
    assert [nic["name"] for nic in ip["nics"] if nic["role"] == "primary"] == ["eth0"]
    assert ip["reach"]["10.0.0.9"]["source"] == "10.0.0.5"
    assert len(json.dumps(ip["nics"])) <= 8192
