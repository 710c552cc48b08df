# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From any state that an accident leaves, a restore leads back, and touches nothing else."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _checkpoint as domain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.checkpoint_world import Kernel, Refused, address, link, route

DNS = {"target": None, "content": "nameserver 192.0.2.53\n", "links": {}}
ROUNDS = 5


def node():
    """A NIC with the default route, a second one, a VLAN on it, and what agents own."""
    links = [
        link("lo", 1, physical=False, mac="00:00:00:00:00:00"),
        link("eth0", 2, altnames=["enp1s0"]),
        link("eth1", 3),
        link("eth1.5", 4, "vlan", parent="eth1", make=["link", "eth1", "type", "vlan", "id", "5"]),
        link("cali1", 5, "veth", role="pod"),
        link("tunl0", 6, "ipip", role="cni"),
    ]
    kernel = Kernel(
        {
            "boot_id": "a",
            "links": links,
            "addresses": {
                "lo": [],
                "eth0": [address("10.0.0.1/24"), address("10.0.0.2/24"), address("fd00::1/64")],
                "eth1": [address("10.1.0.1/24")],
                "eth1.5": [address("10.5.0.1/24")],
                "cali1": [],
                "tunl0": [address("10.244.0.1/32")],
            },
            "routes": [],
            "rules": [{"family": "inet", "words": ["32766:".rstrip(":"), "from", "all"]}],
            "dns": DNS,
            "ovs": None,
        }
    )
    for name in kernel.state["addresses"]:
        kernel.refresh(name)
    kernel.state["routes"] += [
        route("unicast default via 10.0.0.254 dev eth0 table main proto static metric 100 onlink"),
        route("unicast 192.0.2.0/24 via 10.1.0.9 dev eth1 table main proto static mtu 1400"),
        route("unicast default via 10.5.0.9 dev eth1.5 table 200 proto static"),
        route("unicast default via fd00::9 dev eth0 table main proto static metric 1024", "inet6"),
        route("unicast 10.244.9.0/26 via 10.0.0.7 dev eth0 table main proto bird"),
    ]
    return kernel.state


def saved_of(state, names=None):
    return copy.deepcopy(domain.scope(state, names, with_ovs=True, with_dns=True))


# -- accidents ----------------------------------------------------------------------------------


def move(kernel, name):
    """The NIC becomes name~, an internal port takes name, MAC, addresses and routes."""
    nic = kernel.find(name)
    if nic["kind"] or nic["master"]:
        raise Refused(name)
    rename(kernel, name)
    nic["up"], nic["master"] = True, "ovs-system"
    index = 1 + max(e["ifindex"] for e in kernel.state["links"])
    kernel.state["links"].append(link(name, index, "openvswitch", mac=nic["mac"]))
    kernel.state["addresses"][name] = kernel.state["addresses"].pop(f"{name}~", [])
    for entry in kernel.state["addresses"][name]:
        entry["label"] = None
    kernel.refresh(name)


def rename(kernel, name):
    kernel.ip(["link", "set", "dev", name, "down"])
    kernel.ip(["link", "set", "dev", name, "name", f"{name}~"])


def take_address(kernel, name):
    held = kernel.held(name)
    if held:
        kernel.ip(["address", "del", f"{held[0]['local']}/{held[0]['prefix']}", "dev", name])


def move_address(kernel, name):
    held = kernel.held(name)
    if held:
        text = f"{held[0]['local']}/{held[0]['prefix']}"
        take_address(kernel, name)
        kernel.ip(["address", "replace", text, "scope", "global", "dev", "cali1"])


def bridge(kernel, name):
    if not any(e["name"] == "br0" for e in kernel.state["links"]):
        kernel.ip(["link", "add", "name", "br0", "type", "bridge"])
    kernel.ip(["link", "set", "dev", name, "master", "br0"])


def reboot(kernel, _name):
    kernel.state["boot_id"] = "b"
    for entry in kernel.state["links"]:
        entry["ifindex"] += 40


def other_default(kernel, _name):
    text = "unicast default via 10.0.0.66 dev eth1 table main proto boot metric 10"
    kernel.ip(["-4", "route", "replace", *text.split()])


def without(word):
    def accident(kernel, name):
        kernel.forget(name, lambda words: word in words)

    return accident


def rules(kernel, _name):
    kernel.state["rules"] = [{"family": "inet", "words": ["100", "from", "10.0.0.1", "blackhole"]}]


def replace_vlan(kernel, _name):
    kernel.remove("eth1.5")
    kernel.ip(["link", "add", "name", "eth1.5", "type", "dummy"])


def command(*words):
    def accident(kernel, name):
        kernel.ip([name if word == "NAME" else word for word in words])

    return accident


ACCIDENTS = [
    move,
    rename,
    take_address,
    move_address,
    bridge,
    reboot,
    other_default,
    without("default"),
    without("static"),
    rules,
    command("link", "set", "dev", "NAME", "down"),
    command("link", "set", "dev", "NAME", "mtu", "1300"),
    command("link", "set", "dev", "NAME", "address", "02:00:00:00:00:99"),
    command("link", "property", "add", "dev", "NAME", "altname", "strange"),
    command("address", "replace", "10.0.0.77/24", "scope", "global", "dev", "NAME"),
    lambda kernel, name: kernel.remove("eth1.5"),
    replace_vlan,
    lambda kernel, name: kernel.state.update(dns={**DNS, "content": ""}),
]
accidents = st.lists(
    st.tuples(st.sampled_from(ACCIDENTS), st.sampled_from(["eth0", "eth1"])), max_size=6
)


def happen(kernel, what):
    for accident, name in what:
        # What cannot happen in this state does not.
        before = copy.deepcopy(kernel.state)
        try:
            accident(kernel, name)
        except (Refused, ValueError):
            kernel.state = before


def restore(saved, kernel):
    """As the restore program does it: refused steps are passed over, and it looks again."""
    refused = []
    for _round in range(ROUNDS):
        todo = domain.restore_plan(saved, kernel.state)
        if not todo.actions:
            return refused
        for action in todo.actions:
            try:
                kernel.do(action)
            except Refused as error:
                refused.append(str(error))
    raise AssertionError([action.step.action for action in todo.actions])


def shape(saved):
    """What must be equal, whatever index a link has now."""
    links = [
        {k: v for k, v in entry.items() if k not in ("ifindex",)}
        for entry in sorted(saved["links"], key=lambda e: e["name"])
    ]
    routes = sorted(map(repr, saved["routes"]))
    # Among IPv6 addresses, and of one family to the other, no order means anything.
    addresses = {
        name: [a for a in held if a["family"] == "inet"]
        + sorted((a for a in held if a["family"] == "inet6"), key=repr)
        for name, held in saved["addresses"].items()
    }
    told = {"links": links, "routes": routes, "addresses": addresses}
    return {**saved, "boot_id": "", **told}


@pytest.mark.parametrize("accident", [move, rename])
def test_a_nic_whose_mac_and_index_are_others_is_told_by_the_name_that_a_move_gives(accident):
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before)
    reboot(kernel, "eth0")
    kernel.ip(["link", "set", "dev", "eth0", "address", "02:00:00:00:00:99"])
    accident(kernel, "eth0")
    assert restore(saved, kernel) == []
    names = [entry["name"] for entry in saved["links"]]
    assert shape(saved_of(kernel.state, names)) == shape(saved)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(accidents, st.booleans())
def test_a_restore_leads_back_from_any_accident(what, promotes):
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before, promotes)
    happen(kernel, what)
    restore(saved, kernel)
    names = [entry["name"] for entry in saved["links"]]
    assert shape(saved_of(kernel.state, names)) == shape(saved)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(accidents)
def test_the_plan_is_empty_exactly_when_nothing_differs(what):
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before)
    happen(kernel, what)
    names = [entry["name"] for entry in saved["links"]]
    todo = domain.restore_plan(saved, kernel.state)
    try:
        differs = shape(saved_of(kernel.state, names)) != shape(saved)
    except ValueError:  # A link is gone.
        differs = True
    # An address of ours elsewhere and a better default route differ too.
    elsewhere = kernel.held("cali1") or "10.0.0.66" in str(kernel.state["routes"])
    assert bool(todo.actions) == bool(differs or elsewhere)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(accidents)
def test_what_agents_own_is_left_alone(what):
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before)
    kernel.state["links"].append(link("cali2", 9, "veth", role="pod"))
    kernel.state["routes"].append(
        route("unicast 10.244.7.0/26 via 10.1.0.8 dev eth1 table main proto bird")
    )
    kernel.state["routes"].append(route("unicast 10.244.0.9 dev cali2 table main proto boot"))
    kernel.state["rules"].append(
        {"family": "inet", "words": ["50", "from", "all", "fwmark", "0x1", "lookup", "9"]}
    )
    todo = domain.restore_plan(saved, kernel.state)
    assert todo.actions == []
    happen(kernel, [step for step in what if step[0] is not move_address])
    for action in domain.restore_plan(saved, kernel.state).actions:
        assert "cali2" not in action.words
        assert "tunl0" not in action.words
        assert "fwmark" not in action.words


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(accidents)
def test_the_way_out_is_whole_before_anything_else_is_begun(what):
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before)
    happen(kernel, what)
    for _round in range(ROUNDS):
        todo = domain.restore_plan(saved, kernel.state)
        for action in todo.actions[: todo.first]:
            try:
                kernel.do(action)
            except Refused:
                continue
    assert todo.first == 0
    now, then = (
        {**shape(saved_of(state, ["eth0"])), "dns": None} for state in (kernel.state, before)
    )
    assert now == then


def test_the_rest_is_not_begun_with_what_leads_out():
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before)
    for name in ("eth0", "eth1"):
        kernel.ip(["link", "set", "dev", name, "down"])
    kernel.remove("eth1.5")
    todo = domain.restore_plan(saved, kernel.state)
    first, rest = todo.actions[: todo.first], todo.actions[todo.first :]
    assert first
    assert not [a for a in first if "eth1" in a.words or "eth1.5" in a.words]
    assert not [a for a in rest if "eth0" in a.words]


def test_an_address_that_stood_on_two_links_stays_on_both():
    before = node()
    before["addresses"]["lo"] = [address("10.0.0.1/32")]
    saved = saved_of(before)
    assert domain.restore_plan(saved, before).actions == []
    kernel = Kernel(before)
    kernel.ip(["address", "del", "10.0.0.1/24", "dev", "eth0"])
    assert restore(saved, kernel) == []
    assert kernel.state["addresses"]["lo"] == before["addresses"]["lo"]


def test_what_the_way_out_lies_on_and_what_is_to_be_reached_belong_to_it():
    links = [
        link("eth0", 1, master="bond0"),
        link("eth1", 2, master="bond0"),
        link("eth2", 3),
        link("eth3", 4),
        link("bond0", 5, "bond"),
        link("bond0.5", 6, "vlan", parent="bond0", master="red"),
        link("red", 7, "vrf"),
        link("bond0.6", 8, "vlan", parent="bond0"),
    ]
    state = {
        **node(),
        "links": links,
        "addresses": {},
        "routes": [route("unicast default via 10.0.0.9 dev bond0.5 table main proto static")],
    }
    saved = domain.scope(state, None, with_ovs=False, with_dns=False, reach=["eth3", "eth9"])
    assert saved["reach"] == ["eth3"]
    assert domain.links.way_out(saved) == {"eth0", "eth1", "bond0", "bond0.5", "red", "eth3"}


def test_what_is_made_again_has_its_mac_at_once_but_for_one_that_has_its_parents():
    before = node()
    before["links"].append(link("dummy0", 9, "dummy"))
    before["links"][3]["mac"] = before["links"][2]["mac"]
    saved = saved_of(before)
    kernel = Kernel(before)
    kernel.remove("dummy0")
    kernel.remove("eth1.5")
    made = [
        [*a.words] for a in domain.restore_plan(saved, kernel.state).actions if "add" in a.words
    ]
    assert made[0] == ["link", "add", "name", "eth1.5", "link", "eth1", "type", "vlan", "id", "5"]
    mac = "02:00:00:00:00:09"
    assert made[1] == f"link add name dummy0 address {mac} type dummy".split()


def test_a_scope_names_links_that_are_there():
    with pytest.raises(ValueError, match="no such link on the node: eth9"):
        domain.scope(node(), ["eth0", "eth9"], with_ovs=True, with_dns=True)


def test_a_narrow_scope_leaves_other_links_as_they_are():
    before = node()
    saved = saved_of(before, ["eth0"])
    kernel = Kernel(before)
    kernel.ip(["link", "set", "dev", "eth1", "down"])
    assert domain.restore_plan(saved, kernel.state).actions == []


def test_what_cannot_be_made_again_is_said():
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before)
    kernel.remove("eth1")
    todo = domain.restore_plan(saved, kernel.state)
    assert any("eth1 (NIC) is gone" in text for text in todo.cannot)


def test_the_nic_is_told_from_the_port_that_took_its_name_also_after_a_boot():
    before = node()
    saved = saved_of(before)
    kernel = Kernel(before)
    move(kernel, "eth0")
    reboot(kernel, "eth0")
    actions = [action.step.action for action in domain.restore_plan(saved, kernel.state).actions]
    assert actions[:4] == [
        "Take eth0~ out of Open vSwitch's datapath.",
        "Remove the internal port eth0, which stands where a link was.",
        "Set eth0~ down to rename it.",
        "Rename eth0~ to eth0.",
    ]
