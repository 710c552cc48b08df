# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The prediction says what Calico does."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _autodetection,
    _exclusions,
    _go_net,
    _re2,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A busy machine is no failure of ours.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HERE = pathlib.Path(__file__).parent
autodetect = _autodetection.autodetect


def node(text):
    """Interfaces from text: ``eth0 10.0.0.5/24 10.0.0.6/24; eth1 DOWN 10.1.0.5/24``."""
    nics = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        name, *rest = part.split()
        nics.append({"name": name, "up": "DOWN" not in rest})
        nics[-1]["addresses"] = [a for a in rest if a != "DOWN"]
    return nics


TWO = node("eth0 10.0.0.5/24; eth1 10.1.0.5/24")


@pytest.mark.parametrize(
    ("interfaces", "method", "expected"),
    [
        ("eth0 10.0.2.15/24; eth1 192.168.56.11/24", "first-found", "192.168.56.11/24"),
        (
            "eth0 10.0.0.5/24; ibmveth2 10.9.0.2/24; veth9 172.31.0.1/16",
            "first-found",
            "10.9.0.2/24",
        ),
        ("eth0 10.0.0.5/24; eth1 DOWN 10.1.0.5/24", "first-found", "10.1.0.5/24"),
        ("eth0 10.0.0.100/32 10.0.0.5/24", "cidr=10.0.0.0/24", "10.0.0.100/32"),
        ("eth0 10.0.0.5/24; eth1 169.254.10.1/16", "first-found", "10.0.0.5/24"),
        ("eth0 10.0.0.5/24; eth1 10.1.0.5/24", "interface=eth0,eth1", "10.1.0.5/24"),
        ("eth0 10.0.0.5/24; eth0.100 10.1.100.5/24", "interface=eth0", "10.1.100.5/24"),
        ("eth0 10.0.0.5/24; eth0.100 10.1.100.5/24", "interface=^eth0$", "10.0.0.5/24"),
        ("eth0 10.0.0.5/24; vxlan.calico 10.244.7.0/32", "cidr=10.0.0.0/8", "10.244.7.0/32"),
        (
            "eth0 10.0.0.5/24; eth1 10.1.0.5/24; eth10 10.2.0.5/24",
            "skip-interface=eth1",
            "10.0.0.5/24",
        ),
    ],
)
def test_the_address_is_the_one_that_calico_takes(interfaces, method, expected):
    assert autodetect(node(interfaces), method)["address"] == expected


def test_can_reach_takes_the_source_address_even_of_loopback():
    nics = node("lo 127.0.0.1/8; eth0 10.0.0.5/24")
    found = autodetect(nics, "can-reach=127.0.0.1", reach={"127.0.0.1": "127.0.0.1"})
    assert (found["address"], found["interface"]) == ("127.0.0.1/8", "lo")


def test_an_internal_ip_that_is_not_on_the_host_gives_nothing():
    found = autodetect(
        node("eth1 192.168.1.10/24"), "kubernetes-internal-ip", internal_ips=["192.168.1.1"]
    )
    assert (found["address"], found["outcome"]) == (None, "none")
    assert "InternalIP 192.168.1.1 is on no interface" in found["reason"]


def test_a_temporary_ipv6_address_is_taken_when_it_comes_first():
    nics = [{"name": "eth0", "up": True, "addresses": []}]
    for text, flags in (("2001:db8::aaaa", ["temporary"]), ("2001:db8::5", []), ("fe80::1", [])):
        nics[0]["addresses"].append({"address": text, "prefix": 64, "flags": flags})
    found = autodetect(nics, "first-found", family=6)
    assert found["address"] == "2001:db8::aaaa/64"
    assert "temporary; Calico does not look at that" in found["reason"]


def test_calico_s_own_code_gave_the_same_on_every_recorded_case():
    """The expectations are what Calico's AutoDetectCIDR, compiled with these interfaces, said."""
    vectors = json.loads((HERE / "calico_vectors.json").read_text(encoding="utf-8"))["vectors"]
    assert len(vectors) > 300
    wrong = []
    for case in vectors:
        asked = {k: case[k] for k in ("nics", "method", "family", "internal_ips", "reach")}
        found = autodetect(**asked)
        if (found["address"] or found["outcome"]) != case["expected"]:
            wrong.append((case, found))
    assert wrong == []


@pytest.mark.parametrize(
    "method", [None, "", "first-found", "skip-interface=nothing", "cidr=0.0.0.0/0", "interface="]
)
def test_the_last_interface_in_kernel_order_wins(method):
    found = autodetect(TWO, method)
    assert (found["address"], found["interface"], found["error"]) == ("10.1.0.5/24", "eth1", None)
    assert "eth1 before eth0: Calico walks interfaces in reverse kernel order" in found["reason"]
    assert "eth0 (10.0.0.5/24) would match too" in found["reason"]


def test_the_reason_tells_of_a_link_that_is_down():
    found = autodetect(node("eth0 10.0.0.5/24; eth1 DOWN 10.1.0.5/24"), "")
    assert "eth1 is DOWN; Calico does not look at the link" in found["reason"]
    assert "DOWN" not in autodetect(TWO, "")["reason"]


def test_the_reason_tells_which_default_exclusion_passed_an_interface_over():
    found = autodetect(node("eth0 10.0.0.5/24; docker0 172.17.0.1/16; tun0"), "")
    assert found["reason"] == (
        "eth0 is the only interface that matches."
        " Passed over: docker0 skipped by default (^docker.*)."
    )


def test_the_reason_tells_of_other_addresses_on_the_same_interface():
    found = autodetect(node("eth0 10.0.0.100/32 10.0.0.5/24"), "")
    assert "first in kernel order counts, 10.0.0.5/24 would match too" in found["reason"]


def test_no_match_says_why_each_interface_falls_out_and_what_calico_does_then():
    nics = node("docker0 172.17.0.1/16; eth0 169.254.1.1/16; eth1 fe80::1/64; lo 127.0.0.1/8")
    found = autodetect(nics, "first-found")
    assert (found["address"], found["interface"], found["outcome"]) == (None, None, "none")
    assert found["error"] is None
    assert "docker0 skipped by default (^docker.*)" in found["reason"]
    assert "eth0 has only link-local addresses" in found["reason"]
    assert "lo skipped by default (^lo)" in found["reason"]
    assert "eth1" not in found["reason"]  # it has no IPv4 address, as expected of few
    assert "keeps a stored address; with none stored calico-node exits with 1" in found["reason"]
    outside = autodetect(TWO, "cidr=192.168.0.0/16")["reason"]
    assert "eth0 has no address in the CIDR" in outside
    assert "its name does not match" in autodetect(TWO, "interface=ens")["reason"]
    assert "No interface has an IPv6 address" in autodetect(TWO, "", family=6)["reason"]
    assert "no interface at all" in autodetect([], "")["reason"]


def test_a_long_list_is_cut_short_in_the_reason():
    nics = node(";".join(f"eth{i} 10.0.{i}.5/24" for i in range(50)))
    assert "and 44 more" in autodetect(nics, "")["reason"]
    assert "and 45 more" in autodetect(nics, "interface=ens")["reason"]


@pytest.mark.parametrize("method", ["skip-interface=", "skip-interface=eth1,"])
def test_an_empty_regex_skips_everything(method):
    found = autodetect(TWO, method)
    assert found["outcome"] == "none"
    assert "an empty regex matches all" in found["reason"]


def test_a_comma_inside_braces_splits_the_regex():
    found = autodetect(TWO, "interface=eth[0-9]{1,2}")
    assert found["outcome"] == "none"
    assert "split at commas, also inside {1,2}" in found["reason"]


def test_the_parts_of_a_list_are_compiled_as_one():
    # Split and joined again, [e,x] is the set of the characters e ) | ( x.
    assert (
        autodetect(node("e0 10.0.0.5/24; y0 10.0.1.5/24"), "interface=[e,x]")["interface"] == "e0"
    )


def test_blanks_around_the_commas_do_not_count():
    assert autodetect(TWO, "interface=ens3 ,\t^eth0$")["interface"] == "eth0"
    assert autodetect(TWO, "cidr=10.9.0.0/24 , 10.0.0.0/24")["interface"] == "eth0"


def test_an_interface_regex_excludes_nothing_by_default():
    nics = node("eth0 10.0.0.5/24; docker0 172.17.0.1/16")
    assert autodetect(nics, "interface=.*")["interface"] == "docker0"
    assert autodetect(nics, "cidr=172.16.0.0/12")["interface"] == "docker0"
    assert autodetect(nics, "skip-interface=ens")["interface"] == "eth0"


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("interface=(?!docker).*", "Go has no look-ahead"),
        ("skip-interface=eth[", "missing closing ]"),
        ("interface=e(th,x", "Calico splits the value at every comma"),
        ("interface=e(th,x", "missing closing ): `(e(th)|(x)`"),
    ],
)
def test_a_regex_that_go_refuses_is_an_error_and_counts_as_no_match(method, says):
    found = autodetect(TWO, method)
    assert (found["address"], found["outcome"]) == (None, "none")
    assert says in found["error"]
    assert "counts as no match" in found["error"]


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("cidr=10.0.0.5", "Write 10.0.0.5/32"),
        ("cidr=10.0.0.0/24,2001:db8::1", "Write 2001:db8::1/128"),
        ("cidr=", "'' is not a CIDR"),
        ("cidr=10.0.0.0/24,10.1.0.0/33", "'10.1.0.0/33' is not a CIDR"),
        ("cidr=10.0.0.0/255.255.255.0", "is not a CIDR"),
        ("cidr= 10.0.0.0/24", "' 10.0.0.0/24' is not a CIDR"),
    ],
)
def test_one_bad_cidr_voids_the_list(method, says):
    found = autodetect(TWO, method)
    assert (found["address"], found["outcome"]) == (None, "none")
    assert says in found["error"]
    assert "one bad entry voids the whole list" in found["error"]


def test_networks_of_the_other_family_are_no_mistake():
    found = autodetect(TWO, "cidr=fd00::/8,10.0.0.0/24")
    assert (found["address"], found["error"]) == ("10.0.0.5/24", None)


@pytest.mark.parametrize(
    "method",
    ["none", "first-found ", " first-found", "First-Found", "interface", "can-reach", "x=y"],
)
def test_a_method_that_calico_does_not_know_ends_calico_node(method):
    found = autodetect(TWO, method)
    assert (found["address"], found["outcome"]) == (None, "exit")
    assert "Invalid IP autodetection method" in found["error"]
    assert "exits with 1" in found["error"]


def test_the_internal_ip_method_is_known_by_its_first_letters():
    for method in ("kubernetes-internal-ip", "kubernetes-internal-ip=x", "kubernetes-internal-ips"):
        assert autodetect(TWO, method, internal_ips=["10.0.0.5"])["address"] == "10.0.0.5/24"


def test_only_the_first_internal_ip_of_the_family_counts():
    ips = ["2001:db8::5", "10.9.9.9", "10.0.0.5"]
    found = autodetect(TWO, "kubernetes-internal-ip", internal_ips=ips)
    assert found["outcome"] == "none"
    assert "Only the first InternalIP counts, not 10.0.0.5" in found["reason"]
    assert autodetect(TWO, "kubernetes-internal-ip", internal_ips=["x", *ips[2:]])["address"]
    zoned = ["fe80::1%eth0", "2001:db8::5"]  # a zone is no address to Go
    nics = node("eth0 fe80::1/64 2001:db8::5/64")
    found = autodetect(nics, "kubernetes-internal-ip", family=6, internal_ips=zoned)
    assert found["address"] == "2001:db8::5/64"
    none = autodetect(TWO, "kubernetes-internal-ip", family=6, internal_ips=["10.0.0.5"])
    assert "no InternalIP of IPv6 (it has 10.0.0.5)" in none["reason"]


def test_the_internal_ip_is_neither_filtered_nor_excluded():
    nics = node("lo 127.0.0.1/8 169.254.1.1/32; kube-ipvs0 10.96.0.1/32")
    for ip, address in (("169.254.1.1", "169.254.1.1/32"), ("10.96.0.1", "10.96.0.1/32")):
        found = autodetect(nics, "kubernetes-internal-ip", internal_ips=[ip])
        assert found["address"] == address


def test_an_address_on_two_interfaces_takes_the_prefix_of_the_last():
    nics = node("eth0 10.0.0.5/24; nodelocaldns 10.0.0.5/32")
    for method in ("kubernetes-internal-ip", "can-reach=d"):
        found = autodetect(nics, method, internal_ips=["10.0.0.5"], reach={"d": "10.0.0.5"})
        assert (found["address"], found["interface"]) == ("10.0.0.5/32", "nodelocaldns")
        assert "eth0 (10.0.0.5/24) has it too" in found["reason"]


def test_can_reach_without_a_look_up_says_that_the_node_must_be_asked():
    for reach in (None, {}, {"10.0.0.1": "10.0.0.5"}):
        found = autodetect(TWO, "can-reach=8.8.8.8", reach=reach)
        assert (found["address"], found["outcome"]) == (None, "unknown")
        assert "reach: ['8.8.8.8']" in found["error"]


def test_can_reach_takes_k8snet_reach_as_it_is():
    entry = {"address": "192.0.2.9", "family": "inet", "source": "10.0.0.5", "error": None}
    found = autodetect(TWO, "can-reach=api.example", reach={"api.example": entry})
    assert (found["address"], found["interface"]) == ("10.0.0.5/24", "eth0")
    entry = {**entry, "source": None, "error": "Network is unreachable"}
    found = autodetect(TWO, "can-reach=api.example", reach={"api.example": entry})
    assert found["outcome"] == "none"
    assert "no route to api.example (Network is unreachable)" in found["reason"]


def test_can_reach_takes_the_look_up_of_its_family():
    nics = [{"name": "eth0", "addresses": ["10.0.0.5/24", "2001:db8::5/64"]}]
    answers = {"inet": {"source": "10.0.0.5"}, "inet6": {"source": "2001:db8::5"}}
    both = {"source": "10.0.0.5", "by_family": answers}
    only4 = {"source": "10.0.0.5", "by_family": {**answers, "inet6": None}}
    for family, reach, expected in (
        (4, both, "10.0.0.5/24"),
        (6, both, "2001:db8::5/64"),
        (6, only4, None),
    ):
        found = autodetect(nics, "can-reach=api.example", family, reach={"api.example": reach})
        assert found["address"] == expected
        assert found["outcome"] == ("address" if expected else "none")


def test_can_reach_needs_the_source_on_a_local_interface():
    found = autodetect(TWO, "can-reach=8.8.8.8", reach={"8.8.8.8": "10.5.0.1"})
    assert found["outcome"] == "none"
    assert "10.5.0.1, which no interface has" in found["reason"]


def test_can_reach_of_the_other_family_gives_nothing():
    reach = {"8.8.8.8": "10.0.0.5", "name": "10.0.0.5"}
    found = autodetect(TWO, "can-reach=8.8.8.8", family=6, reach=reach)
    assert (found["outcome"], found["error"]) == ("none", None)
    assert "8.8.8.8 is not an IPv6 address" in found["reason"]
    assert autodetect(TWO, "can-reach=name", family=6, reach=reach)["outcome"] == "unknown"


@pytest.mark.parametrize(
    ("method", "family", "expected"),
    [
        ("can-reach=", 4, "127.0.0.1/8"),
        ("can-reach=0.0.0.0", 4, "127.0.0.1/8"),
        ("can-reach=::", 4, "127.0.0.1/8"),
        ("can-reach=", 6, "::1/128"),
        ("can-reach=::", 6, "::1/128"),
        ("can-reach=0.0.0.0", 6, None),
    ],
)
def test_reaching_nothing_in_particular_reaches_this_host(method, family, expected):
    nics = node("lo 127.0.0.1/8 ::1/128; eth0 10.0.0.5/24")
    assert autodetect(nics, method, family=family)["address"] == expected


@pytest.mark.parametrize(
    ("version", "name", "skipped"),
    [
        (None, "br-1", True),
        ("v3.25.0", "br-1", True),
        ("v3.32.1-0.dev", "podman1", True),
        ("master", "podman1", True),
        ("v3.24.6", "br-1", False),
        ("v3.24.6", "nodelocaldns", True),
        ("v3.24.5", "nodelocaldns", False),
        ("3.24.4", "vxlan.calico", True),
        ("v3.24.3", "vxlan.calico", False),
        ("v3.24.3", "ibmveth2", False),
        ("v3.24.2", "ibmveth2", True),
        ("v3.24", "xlo", True),
        ("v3.23.5", "vxlan.calico", True),
        ("v3.23.4", "vxlan.calico", False),
        ("v3.23.4", "ibmveth2", False),
        ("v3.23.3", "ibmveth2", True),
        ("v3.100.0", "br-1", True),
    ],
)
def test_what_is_skipped_by_default_depends_on_the_release(version, name, skipped):
    found = autodetect(node(f"{name} 10.0.0.5/24"), "first-found", calico_version=version)
    assert (found["address"] is None) == skipped


def test_the_interfaces_skipped_by_default_are_calico_s():
    skipped = (
        "docker0 cbr0 dummy0 podman1 virbr0 lxcbr0 veth1 lo lo0 br-1 cali1 tunl0 flannel.1"
        " kube-ipvs0 cni0 vxlan.calico vxlan-v6.calico wireguard.cali wg-v6.cali nodelocaldns"
    )
    kept = "eth0 br0 bond0 xdocker vxlan-calico tailscale0 wireguardxcali kube-bridge ens3"
    for name in skipped.split():
        assert autodetect(node(f"{name} 10.0.0.5/24"), "")["address"] is None, name
    for name in kept.split():
        assert autodetect(node(f"{name} 10.0.0.5/24"), "")["address"], name
    assert len(_exclusions.default_exclusions()) == 19


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0.0.0.0", "unspecified"),
        ("255.255.255.255", "broadcast"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("169.254.0.1", "link-local"),
        ("169.255.0.1", None),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", None),
        ("10.0.0.5", None),
        ("100.64.0.1", None),
        ("192.0.2.1", None),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", None),
        ("ff02::1", "multicast"),
        ("fd00::1", None),
        ("2001:db8::5", None),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.5", None),
    ],
)
def test_global_unicast_is_what_go_calls_so(text, kind):
    assert _go_net.parse_ip(text).unusable() == kind


def test_an_ipv4_mapped_address_is_ipv4_as_in_go():
    assert autodetect(node("eth0 ::ffff:10.0.0.5/120"), "")["address"] == "10.0.0.5/24"
    assert autodetect(node("eth0 ::ffff:10.0.0.5/64"), "")["address"] == "10.0.0.5/0"
    assert autodetect(TWO, "cidr=::ffff:10.0.0.0/120")["interface"] == "eth0"
    assert autodetect(TWO, "cidr=::ffff:10.0.0.0/64")["address"] is None


def test_a_regex_that_cannot_be_judged_is_unknown_and_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)
    found = autodetect(node("ethδ 10.0.0.5/24"), "interface=\\p{Cyrillic}")
    assert (found["address"], found["outcome"]) == (None, "unknown")
    assert "Install the Python package google-re2" in found["error"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"nics": "eth0"}, "nics: expected a list of interfaces, got str 'eth0'"),
        ({"nics": None}, "nics: expected a list of interfaces, got nothing"),
        ({"nics": {"eth0": {}}}, "nics: expected a list"),
        ({"nics": ["eth0"]}, r"nics\[0\]: expected a dictionary"),
        ({"nics": [{}]}, r"nics\[0\].name: expected a non-empty string"),
        ({"nics": [{"name": "eth0", "addresses": "10.0.0.5/24"}]}, "addresses: expected a list"),
        ({"nics": [{"name": "eth0", "up": "yes"}]}, "up: expected true or false"),
        ({"nics": node("eth0 10.0.0.5")}, r"nics\[0\] \(eth0\).addresses\[0\]: '10.0.0.5' is not"),
        ({"nics": node("eth0 10.0.0.5/24 fe80::1%eth0/64")}, r"addresses\[1\]"),
        ({"nics": [{"name": "a", "addresses": [{"address": "10.0.0.5"}]}]}, "'prefix'"),
        ({"nics": [{"name": "a", "addresses": [7]}]}, "7 is not an address with prefix"),
        ({"method": 4}, "method: expected a string"),
        ({"family": 5}, "family: expected 4 or 6"),
        ({"family": True}, "family: expected 4 or 6"),
        ({"family": "ipv6"}, "family: expected 4 or 6"),
        ({"internal_ips": "10.0.0.5"}, "internal_ips: expected a list"),
        ({"internal_ips": [4]}, "internal_ips: expected a list"),
        ({"reach": ["8.8.8.8"]}, "reach: expected a dictionary"),
        ({"reach": {"8.8.8.8": 7}}, r"reach\['8.8.8.8'\]: 7 is not an address"),
        ({"reach": {"8.8.8.8": {"source": "10.0.0.5/24"}}}, "is not an address"),
    ],
)
def test_input_of_the_wrong_shape_says_what_where_and_the_remedy(given, says):
    with pytest.raises(_autodetection.InputError, match=says):
        autodetect(**{"nics": TWO, "method": "", **given})


def test_what_is_not_given_of_an_interface_is_not_missed():
    nics = [{"name": "eth0"}, {"name": "eth1", "addresses": None, "mtu": 1500}]
    assert autodetect(nics, "")["outcome"] == "none"
    assert autodetect(TWO, "", family="4", internal_ips=None)["address"]
    ipvs = [{"name": "kube-ipvs0", "up": False, "addresses": ["10.96.0.1/32", "10.96.0.10/32"]}]
    assert autodetect(ipvs, "interface=kube")["address"] == "10.96.0.1/32"


OCTET = st.integers(0, 255)
IPV4 = st.tuples(OCTET, OCTET, OCTET, OCTET, st.integers(0, 32)).map(
    lambda t: "{}.{}.{}.{}/{}".format(*t)
)
NAME = st.sampled_from(["eth0", "eth1", "ens3", "lo", "docker0", "br-1", "xveth", "cali1", "tun0"])
NIC = st.fixed_dictionaries(
    {"name": NAME, "up": st.booleans(), "addresses": st.lists(IPV4, max_size=3)}
)
NICS = st.lists(NIC, max_size=6)
METHODS = st.sampled_from(
    ["", "first-found", "interface=eth", "interface=.*", "skip-interface=eth1", "cidr=0.0.0.0/1"]
)
GOOD = {"name": "enp9s0", "up": True, "addresses": ["198.51.100.7/24"]}


@PROPERTY
@given(NICS)
def test_a_new_interface_that_matches_takes_over(nics):
    assert autodetect([*nics, GOOD], "first-found")["interface"] == "enp9s0"
    assert autodetect([*nics, GOOD], "interface=^enp")["interface"] == "enp9s0"


@PROPERTY
@given(NICS, METHODS)
def test_the_result_is_an_address_of_the_interface_it_names(nics, method):
    found = autodetect(nics, method)
    if found["outcome"] == "address":
        given_by = [a for n in nics if n["name"] == found["interface"] for a in n["addresses"]]
        assert found["address"] in given_by
    else:
        assert (found["address"], found["interface"]) == (None, None)
    assert found["reason"]


@PROPERTY
@given(NICS, st.lists(st.sampled_from(["docker7", "veth1", "br-7", "lo"]), max_size=4), st.data())
def test_interfaces_that_are_skipped_change_nothing_wherever_they_are(nics, names, data):
    mixed = list(nics)
    for name in names:
        at = data.draw(st.integers(0, len(mixed)))
        mixed.insert(at, {"name": name, "up": True, "addresses": ["203.0.113.9/24"]})
    before, after = autodetect(nics, "first-found"), autodetect(mixed, "first-found")
    assert (before["address"], before["interface"]) == (after["address"], after["interface"])


@PROPERTY
@given(st.lists(NIC, min_size=1, max_size=5), st.randoms())
def test_the_order_of_interfaces_that_do_not_match_changes_nothing(nics, random):
    others = [n for n in nics if not n["name"].startswith("eth")]
    shuffled = random.sample(others, len(others))
    results = [autodetect([GOOD, *o], "interface=enp9")["address"] for o in (others, shuffled)]
    assert results == ["198.51.100.7/24"] * 2


@PROPERTY
@given(NICS, METHODS)
def test_up_and_down_change_nothing_but_the_reason(nics, method):
    turned = [{**n, "up": not n["up"]} for n in nics]
    before, after = autodetect(nics, method), autodetect(turned, method)
    assert {**before, "reason": ""} == {**after, "reason": ""}


@PROPERTY
@given(st.text(max_size=30), st.sampled_from([4, 6]))
def test_no_text_of_a_method_raises(text, family):
    nics = [*TWO, {"name": "ethδ", "addresses": ["2001:db8::5/64"]}]
    prefixes = (
        "",
        "interface=",
        "skip-interface=",
        "cidr=",
        "can-reach=",
        "kubernetes-internal-ip",
    )
    for prefix in prefixes:
        found = autodetect(nics, prefix + text, family, internal_ips=[text])
        assert found["outcome"] in ("address", "none", "exit", "unknown")
        assert bool(found["address"]) == (found["outcome"] == "address")


@PROPERTY
@given(IPV4)
def test_an_address_comes_out_as_it_went_in(text):
    assert str(_go_net.parse_cidr(text)) == text


def test_a_thousand_interfaces_are_judged_quickly():
    nics = [
        {"name": f"cali{i:x}", "addresses": [f"10.1.{i // 250}.{i % 250}/32"]} for i in range(1000)
    ]
    _re2.compile_regex.cache_clear()
    assert autodetect(nics, "first-found")["outcome"] == "none"


@PROPERTY
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["lo", "eth0", "eth1", "eth2", "docker0", "eth0.5", "äth0"]),
            st.lists(
                st.sampled_from(["10.0.0.5/24", "10.1.0.5/16", "169.254.1.1/16", "fd00::5/64"]),
                max_size=3,
            ),
        ),
        max_size=6,
    ),
    st.sampled_from([4, 6]),
)
def test_the_order_of_first_found_is_what_it_takes_when_those_before_are_gone(given_nics, family):
    nics = [{"name": name, "addresses": addresses} for name, addresses in given_nics]
    left, order = nics, []
    while chosen := autodetect(left, "first-found", family=family)["interface"]:
        order.append(chosen)
        left = [nic for nic in left if nic["name"] != chosen]
    known = _autodetection.NodeView(_autodetection.parse_nics(nics))
    exclusions = _exclusions.default_exclusions()
    assert _autodetection.first_found_order(known, family, exclusions) == order
