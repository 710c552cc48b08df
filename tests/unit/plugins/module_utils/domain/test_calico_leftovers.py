# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as left over by an earlier cluster, and what never does."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_leftovers as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_leftovers import (
    PodEnd,
    Want,
)

MINE = {"inet": "10.0.0.5", "inet6": "2001:db8::5"}
GONE = PodEnd(frozenset(), False)


def nic(name: str, kind: str, *addresses: str, **more: Any) -> dict[str, Any]:
    entries = [
        {
            "address": text.partition("/")[0],
            "prefix": int(text.partition("/")[2]),
            "scope": "link" if text.startswith("fe80") else "global",
        }
        for text in addresses
    ]
    base = {"name": name, "kind": kind, "ifindex": 7, "tunnel": None, "parent": None}
    return {**base, "addresses": entries, **more}


def vxlan(
    name: str = "vxlan.calico", local: str | None = "10.0.0.5", **more: Any
) -> dict[str, Any]:
    tunnel = {"id": 4096, "local": local, "remote": None, "port": 4789}
    given = {"tunnel": tunnel, "parent": "eth0", **more}
    return nic(name, "vxlan", "10.244.7.0/32", "fe80::1/64", **given)


ETH0 = nic("eth0", "physical", "10.0.0.5/24", "2001:db8::5/64")


def judged(*nics: dict[str, Any], ends: dict[str, PodEnd] | None = None, **want: Any) -> Any:
    return domain.judge([ETH0, *nics], ends or {}, Want(**{"locals": MINE, **want}))


def reason(*nics: dict[str, Any], **more: Any) -> str | None:
    """Why the one interface is a left-over; None when it is kept."""
    found = judged(*nics, **more)
    assert len(found["leftovers"]) + len(found["kept"]) == 1
    return next((str(entry["reason"]) for entry in found["leftovers"]), None)


def test_the_device_of_this_cluster_stays() -> None:
    assert reason(vxlan(), uses=frozenset({"vxlan"}), tunnels=frozenset({"10.244.7.0"})) is None


def test_a_wrong_local_address_shows_another_cluster() -> None:
    assert reason(vxlan(local="172.31.0.5")) == (
        "it sends from 172.31.0.5, but this node's address is 10.0.0.5"
    )


def test_a_wrong_parent_shows_another_cluster() -> None:
    assert reason(vxlan(parent="eth9")) == "it sits on eth9, but eth0 holds 10.0.0.5"


def test_an_address_that_nothing_holds_says_nothing_of_the_parent() -> None:
    found = domain.judge([vxlan(parent="eth9")], {}, Want(locals=MINE))
    assert found["leftovers"] == []


def test_ipv6_is_judged_by_the_ipv6_address() -> None:
    assert reason(vxlan("vxlan-v6.calico", local="2001:db8::5")) is None
    assert "2001:db8::5" in str(reason(vxlan("vxlan-v6.calico", local="2001:db8::9")))


def test_a_device_that_calico_does_not_use_is_left_over() -> None:
    words = "this cluster's Calico does not use VXLAN"
    assert reason(vxlan(), uses=frozenset({"ipip"})) == words
    found = judged(nic("wireguard.cali", "wireguard", "10.244.7.1/32"), uses=frozenset())
    assert found["leftovers"][0]["remove"] == "device"
    assert found["leftovers"][0]["addresses"] == ["10.244.7.1/32"]


def test_an_address_that_calico_did_not_store_is_an_earlier_clusters() -> None:
    assert reason(vxlan(), tunnels=frozenset({"10.250.0.0"})) == (
        "10.244.7.0/32 on it is not what Calico stored for this node"
    )


def test_what_is_not_known_speaks_for_keeping() -> None:
    assert domain.judge([ETH0, vxlan(local="1.2.3.4", parent="x")], {}, Want())["leftovers"] == []


def test_of_tunl0_only_strange_addresses_go() -> None:
    tunl0 = nic("tunl0", "ipip", "10.244.7.1/32", "10.250.0.1/32")
    (entry,) = judged(tunl0, tunnels=frozenset({"10.244.7.1"}))["leftovers"]
    assert (entry["remove"], entry["addresses"]) == ("addresses", ["10.250.0.1/32"])
    (entry,) = judged(tunl0, uses=frozenset({"vxlan"}))["leftovers"]
    assert entry["addresses"] == ["10.244.7.1/32", "10.250.0.1/32"]


def test_an_empty_tunl0_is_the_kernels() -> None:
    assert reason(nic("tunl0", "ipip"), uses=frozenset()) is None


POD = ("shop", "cart-0")
END = domain.pod_end_name(*POD)


def test_a_pods_end_has_the_name_that_calico_gives_it() -> None:
    assert END == "cali18582a65b10", "printf shop.cart-0 | sha1sum"


@pytest.mark.parametrize(
    ("name", "end", "want", "left_over"),
    [
        (END, GONE, {"pods": (POD,)}, False),
        ("cali01234567890", GONE, {"pods": (POD,)}, True),
        ("cali01234567890", GONE, {"pods": ()}, True),
        ("cali01234567890", GONE, {}, False),
        ("cali01234567890", PodEnd(frozenset(), True), {"pods": ()}, False),
        ("cali01234567890", PodEnd(frozenset(), None), {"pods": ()}, False),
        ("cali01234567890", None, {"pods": ()}, False),
        (
            "cali01234567890",
            PodEnd(frozenset({"10.244.7.9"}), False),
            {"pods": (POD,), "pod_addresses": frozenset({"10.244.7.9"})},
            False,
        ),
        (
            "cali01234567890",
            PodEnd(frozenset({"10.250.0.9"}), False),
            {"pods": (POD,), "pod_addresses": frozenset({"10.244.7.9"})},
            True,
        ),
    ],
)
def test_a_pods_end_goes_only_when_nothing_speaks_for_an_owner(
    name: str, end: PodEnd | None, want: dict[str, Any], left_over: bool
) -> None:
    ends = {name: end} if end else {}
    assert bool(reason(nic(name, "veth"), ends=ends, **want)) is left_over


def test_what_is_not_calicos_is_not_even_judged() -> None:
    others = [nic("flannel.1", "vxlan"), nic("calico-test", "bridge"), nic("veth1", "veth")]
    found = judged(*others, pods=(), uses=frozenset())
    assert found == {"leftovers": [], "kept": [], "blockers": []}


def test_another_device_with_calicos_number_and_port_is_a_blocker_and_stays() -> None:
    foreign = vxlan("flannel.4096", local="172.31.0.5")
    found = judged(foreign, uses=frozenset({"vxlan"}))
    assert [entry["name"] for entry in found["blockers"]] == ["flannel.4096"]
    assert found["leftovers"] == []
    assert judged(foreign, uses=frozenset({"ipip"}))["blockers"] == []
    assert domain.refusals(["flannel.4096"], found)[0].startswith("flannel.4096 is not Calico's")


def test_only_a_left_over_may_be_named() -> None:
    found = judged(vxlan(), vxlan("vxlan-v6.calico", local="2001:db8::9"))
    assert domain.refusals(["vxlan-v6.calico", "tunl0", "cali0"], found) == []
    assert domain.refusals(["vxlan.calico", "eth0"], found) == [
        "vxlan.calico is no left-over: as this cluster's Calico has it, as far as is known.",
        "eth0 is none of Calico's interfaces.",
    ]


def test_the_plan_shows_what_goes_and_what_stays() -> None:
    tunl0 = nic("tunl0", "ipip", "10.244.7.1/32", "10.250.0.1/32")
    found = judged(vxlan(local="172.31.0.5"), tunl0, tunnels=frozenset({"10.244.7.1"}))
    before = {
        "vxlan.calico": {"addresses": ["10.244.7.0/32"]},
        "tunl0": {"addresses": ["10.244.7.1/32", "10.250.0.1/32"]},
    }
    steps = domain.plan(found["leftovers"], before).steps
    assert [step.target for step in steps] == ["interface vxlan.calico", "interface tunl0"]
    assert steps[0].after is None
    assert steps[1].after == {"addresses": ["10.244.7.1/32"]}
    assert steps[1].action.startswith("Take 10.250.0.1/32 off tunl0: ")
    assert not domain.plan([], {}).changed
