# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real iptables of both back ends, ipset and nftables, in a namespace of this machine's kernel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.integration.kube_proxy import residue
from tests.integration.ovs.netns import COLLECTIONS, Namespace, ansible

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
]
TOOL = {"ip": "iptables", "ip6": "ip6tables"}


def lacks(*command):
    """Why ``command`` does not work in a new network namespace; None when it does."""
    if not shutil.which(command[0]):
        return f"{command[0]} is not installed"
    done = subprocess.run(
        ["unshare", "--net", *command], capture_output=True, text=True, check=False
    )
    return f"{' '.join(command)}: {done.stderr.strip()}" if done.returncode else None


LACKS = {
    "nft": lacks("iptables-nft", "-t", "nat", "-N", "X"),
    "legacy": lacks("iptables-legacy", "-t", "nat", "-N", "X"),
    "ipset": lacks("ipset", "create", "x", "bitmap:port", "range", "0-9"),
}


def backend(name):
    """A parameter that is skipped, with the reason, where this machine's kernel lacks it."""
    skip = pytest.mark.skipif(bool(LACKS[name]), reason=str(LACKS[name]))
    return pytest.param(name, marks=skip)


@pytest.fixture
def node():
    with Namespace() as namespace:
        yield namespace


def restore(node, backend_name, family, text):
    node.run(f"{TOOL[family]}-{backend_name}-restore", "--noflush", stdin=text)


def saved(node, backend_name, family):
    return node.run(f"{TOOL[family]}-{backend_name}-save")


def gather(node):
    found = node.gather("_kube_proxy")
    assert found["errors"] == []
    return found


def by_table(found):
    return {(e["backend"], e["family"], e["table"]): e for e in found["residue"]["iptables"]}


def test_a_fresh_namespace_holds_nothing_and_gets_nothing_by_looking(node):
    found = gather(node)
    assert found["residue"]["iptables"] == []
    assert found["residue"]["ipsets"] == []
    assert found["survivors"] == []
    assert node.run("cat", "/proc/net/ip_tables_names", check=False).strip() == ""
    assert node.run("nft", "list", "tables").strip() == ""


@pytest.mark.parametrize("family", ["ip", "ip6"])
@pytest.mark.parametrize("name", [backend("nft"), backend("legacy")])
def test_iptables_mode_beside_its_neighbours(node, name, family):
    restore(node, name, family, residue.neighbours(family))
    neighbours_only = saved(node, name, family)
    restore(node, name, family, residue.iptables(family, services=3, endpoints=2))
    before = saved(node, name, family)

    found = gather(node)

    tables = by_table(found)
    assert set(tables) == {(name, family, t) for t in ("nat", "filter", "mangle")}
    nat = tables[(name, family, "nat")]
    assert nat["by_kind"] == {
        "KUBE-EXT-*": 3,
        "KUBE-MARK-MASQ": 1,
        "KUBE-NODEPORTS": 1,
        "KUBE-POSTROUTING": 1,
        "KUBE-PROXY-CANARY": 1,
        "KUBE-SEP-*": 6,
        "KUBE-SERVICES": 1,
        "KUBE-SVC-*": 3,
    }
    assert len(nat["jumps"]) == 3
    assert len(tables[(name, family, "filter")]["jumps"]) == 9
    assert tables[(name, family, "mangle")]["chains"] == 1
    assert found["blockers"] == []
    assert found["modes"] == ["iptables"]
    # What is called residue is what kube-proxy's own rules added, line for line.
    added = len(before.splitlines()) - len(neighbours_only.splitlines())
    counts = found["counts"]
    assert counts["chains"] + counts["rules"] + counts["jumps"] == added
    jumps = [jump for entry in tables.values() for jump in entry["jumps"]]
    assert all(jump in before.splitlines() for jump in jumps)
    assert not any(jump in neighbours_only.splitlines() for jump in jumps)
    staying = {s["owner"] for s in found["survivors"]}
    assert staying == {"antrea", "calico", "cni", "cri-o", "docker", "kube-router", "kubelet"} | {
        "kubernetes",  # KUBE-SERVICES-CUSTOM
        "other",  # the decoy
    }
    assert unstamped(saved(node, name, family)) == unstamped(before)


def unstamped(save):
    return [line for line in save.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", [backend("nft"), backend("legacy")])
def test_the_judgement_can_be_carried_out_and_what_it_kept_could_not_go(node, name):
    """The kernel agrees: everything called residue can be deleted, the blocked chains cannot."""
    restore(node, name, "ip", residue.neighbours())
    restore(node, name, "ip", residue.iptables(services=2))
    tool = f"iptables-{name}"
    node.run(tool, "-t", "nat", "-A", "CNI-DN-abc", "-p", "tcp", "-j", "KUBE-MARK-MASQ")

    found = gather(node)

    (blocker,) = found["blockers"]
    assert blocker["keeps"] == ["KUBE-MARK-MASQ", "KUBE-POSTROUTING"]
    assert blocker["rules"] == ["-A CNI-DN-abc -p tcp -j KUBE-MARK-MASQ"]
    lines = []
    for entry in found["residue"]["iptables"]:
        names = re.findall(r"^:(KUBE-\S+) ", section(saved(node, name, "ip"), entry["table"]), re.M)
        kinds = {re.sub(r"[A-Z2-7]{16}$", "*", n) for n in names}
        gone = [n for n in names if re.sub(r"[A-Z2-7]{16}$", "*", n) in entry["by_kind"]]
        assert set(entry["by_kind"]) <= kinds
        assert len(gone) == entry["chains"]
        lines += [f"*{entry['table']}", *(f":{n} - [0:0]" for n in gone)]
        lines += [jump.replace("-A ", "-D ", 1) for jump in entry["jumps"]]
        lines += [*(f"-X {n}" for n in gone), "COMMIT"]
    restore(node, name, "ip", "\n".join(lines) + "\n")
    after = gather(node)
    assert after["counts"]["chains"] == 0
    assert after["counts"]["jumps"] == 0
    assert "-j KUBE-POSTROUTING" in saved(node, name, "ip")
    node.run(tool, "-t", "nat", "-F", "KUBE-MARK-MASQ")
    with pytest.raises(AssertionError):
        node.run(tool, "-t", "nat", "-X", "KUBE-MARK-MASQ")


def section(save, table):
    return save.split(f"*{table}\n", 1)[1].split("COMMIT", 1)[0]


@pytest.mark.skipif(bool(LACKS["ipset"]), reason=str(LACKS["ipset"]))
@pytest.mark.parametrize("name", [backend("nft"), backend("legacy")])
def test_ipvs_mode_with_its_sets(node, name):
    node.run("ipset", "restore", stdin=residue.ipsets())
    node.run("ipset", "create", "mine", "hash:ip")
    restore(node, name, "ip", residue.ipvs("ip"))
    restore(node, name, "ip6", residue.ipvs("ip6"))
    rule = "-m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT"
    node.run(f"iptables-{name}", "-A", "INPUT", *rule.split())

    found = gather(node)

    shown = node.run("ipset", "list", "-name").split()
    assert [s["name"] for s in found["residue"]["ipsets"]] == [s for s in shown if s != "mine"]
    entries = {s["name"]: s["entries"] for s in found["residue"]["ipsets"]}
    assert entries["KUBE-CLUSTER-IP"] == 2
    assert entries["KUBE-6-CLUSTER-IP"] == 1
    assert found["counts"]["jumps"] == 2 * (3 + 6)
    (blocker,) = found["blockers"]
    assert (blocker["what"], blocker["target"]) == ("ipset", "KUBE-CLUSTER-IP")
    assert "ipvs" in found["modes"]


@pytest.mark.skipif(bool(LACKS["nft"]), reason=str(LACKS["nft"]))
def test_nftables_mode_and_tables_that_iptables_cannot_show(node):
    node.run("nft", "-f", "-", stdin=residue.nftables())
    found = gather(node)
    assert found["residue"]["nft_tables"] == [
        {"family": "ip", "name": "kube-proxy", "chains": 2},
        {"family": "ip6", "name": "kube-proxy", "chains": 1},
    ]
    assert [s["sample"] for s in found["survivors"]] == [["antrea"]]
    text = """table ip nat {
     chain mine { ct state vmap { established : accept }; }
    }
    table ip filter {
     chain INPUT { type filter hook input priority 5; }
    }
    """
    node.run("nft", "-f", "-", stdin=text)
    found = node.gather("_kube_proxy")
    told = [text.split(" holds ")[0] for text in found["errors"]]
    assert sorted(told) == ["Table 'filter'", "Table 'nat'"]


@pytest.mark.skipif(bool(LACKS["nft"] or LACKS["legacy"]), reason="both back ends are needed")
def test_split_back_ends_are_each_told(node):
    restore(node, "legacy", "ip", f"*nat\n:KUBE-SEP-{'B' * 16} - [0:0]\nCOMMIT\n")
    restore(node, "nft", "ip", "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n")
    node.run("nft", "-f", "-", stdin=residue.nftables())
    found = gather(node)
    assert set(by_table(found)) == {("legacy", "ip", "nat")}
    assert [(t["family"], t["name"]) for t in found["residue"]["nft_tables"]] == [
        ("ip", "kube-proxy"),
        ("ip6", "kube-proxy"),
    ]
    owners = [(s["what"], s["owner"]) for s in found["survivors"]]
    assert owners == [("chains", "kubelet"), ("nft_table", "antrea")]


@pytest.mark.full
@pytest.mark.parametrize("name", [backend("nft"), backend("legacy")])
def test_20_000_chains_stay_small(node, name):
    restore(node, name, "ip", residue.iptables(services=4000, endpoints=3))
    found = gather(node)
    assert found["counts"]["chains"] > 20000
    assert len(json.dumps(found)) < 8192


@pytest.mark.skipif(bool(LACKS["nft"]), reason=str(LACKS["nft"]))
def test_the_module_returns_the_fact(node):
    restore(node, "nft", "ip", residue.iptables())
    enter = ["nsenter", "-t", str(node.pid), "-n", "-m", "-p"]
    found = ansible("kube_proxy_facts", enter=enter)
    assert "ansible_facts" in found, found
    assert found["ansible_facts"]["k8snet_kube_proxy"] == gather(node)


def test_a_timeout_that_is_none_is_refused():
    assert "timeout must be" in ansible("kube_proxy_facts", timeout=0)["msg"]


def test_without_capabilities_each_refusal_is_told_and_nothing_breaks(node):
    code = "import json; from ansible_collections.k8snet.cni.plugins.module_utils.node import "
    code += "_kube_proxy; print(json.dumps(_kube_proxy.gather()))"
    bare = ["setpriv", "--bounding-set=-all", sys.executable, "-c", code]
    found = json.loads(node.run(*bare, env={"PYTHONPATH": COLLECTIONS}))
    assert found["residue"]["iptables"] == []
    assert found["errors"]
    assert all("become" in text for text in found["errors"])
