# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy's residue is removed from real back ends, and everybody else's rules stay as they are.

The module runs as Ansible runs it, in a network namespace of this machine's kernel.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.integration.kube_proxy import residue
from tests.integration.kube_proxy.test_real_rules import LACKS, TOOL, backend, restore
from tests.integration.ovs.netns import COLLECTIONS, Namespace, parse, quiet

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
]
UNDO = "/var/lib/k8snet/undo"
BACKENDS = [backend("nft"), backend("legacy")]
COUNTERS = ":FORWARD DROP [7:700]"


@pytest.fixture
def node():
    with Namespace() as namespace:
        # What is kept lands in a file system that ends with the test.
        namespace.run("mount", "-t", "tmpfs", "none", "/var/lib")
        yield namespace


def rules(node, check=False, run_id="run", **options):
    """The module's result; ``diff`` is what Ansible printed of it."""
    command = ["nsenter", "-t", str(node.pid), "-n", "-m", "-p"]
    command += [os.path.join(os.path.dirname(sys.executable), "ansible"), "localhost", "--diff"]
    command += ["-m", "k8snet.cni.kube_proxy_rules", *(["--check"] if check else [])]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    command += ["-a", json.dumps({"run_id": run_id, **options})]
    # Where a test puts a tool in place of the real one.
    path = f"/var/lib/bin:{os.environ['PATH']}"
    environment = {**os.environ, **quiet(), "PATH": path}
    environment["ANSIBLE_COLLECTIONS_PATH"] = COLLECTIONS
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    found = parse(done)
    found["diff"] = done.stdout.partition("localhost | ")[0]
    assert "msg" in found or bool(found["diff"]) == found["changed"]
    return found


def everything(node, name, family="ip"):
    """A save with its counters, without what is printed about the save itself.

    The legacy tools themselves zero the counters of policies with each command, even ``-A``.
    """
    text = node.run(f"{TOOL[family]}-{name}-save", "-c")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    if name == "legacy":
        return [re.sub(r"^(:\S+ \S+) \[.*", r"\1 [0:0]", line) for line in lines]
    return lines


def world(node, name):
    return {
        "rules": [everything(node, name, family) for family in TOOL],
        "tables": node.run("nft", "list", "tables", check=False),
        "sets": node.run("ipset", "list", "-name", check=False),
        "files": node.run("find", "/var/lib"),
    }


def count(node, name, family="ip"):
    """Give foreign rules counters of their own, so that one which is lost or zeroed is seen."""
    lines = []
    for line in everything(node, name, family):
        if line.startswith("["):
            number = len(lines) + 1
            line = re.sub(r"^\[\d+:\d+\]", f"[{number}:{number * 60}]", line)
        lines.append(re.sub(r"^:FORWARD .*", COUNTERS, line))
    text = "\n".join(lines) + "\n"
    node.run(f"{TOOL[family]}-{name}-restore", "--counters", stdin=text)


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_foreign_stays_byte_for_byte_counters_included(node, name):
    for family in TOOL:
        restore(node, name, family, residue.neighbours(family))
        count(node, name, family)
    foreign = [everything(node, name, family) for family in TOOL]
    assert (COUNTERS if name == "nft" else ":FORWARD DROP [0:0]") in foreign[0]
    assert sum("[0:0] -A" in line for line in foreign[0]) == 0
    for family in TOOL:
        restore(node, name, family, residue.iptables(family, services=3, endpoints=2))
    with_residue = world(node, name)

    checked = rules(node, check=True)
    assert checked["changed"] is True
    assert world(node, name) == with_residue

    applied = rules(node)
    assert applied["changed"] is True
    assert applied["retries"] == 0
    assert [step["target"] for step in applied["plan"]] == [
        f"{tool}-{name} {table}"
        for tool in ("iptables", "ip6tables")
        for table in ("nat", "filter", "mangle")
    ]
    for key in ("plan", "diff", "blockers", "kept", "survivors"):
        assert applied[key] == checked[key], key
    assert [everything(node, name, family) for family in TOOL] == foreign

    again = rules(node)
    assert (again["changed"], again["plan"], again["undo_path"]) == (False, [], None)


@pytest.mark.parametrize("name", BACKENDS)
def test_how_it_was_is_kept_first_and_only_for_root(node, name):
    restore(node, name, "ip", residue.iptables(services=1))
    before = everything(node, name)
    found = rules(node, run_id="r1")
    assert found["undo_path"] == f"{UNDO}/r1"
    listed = node.run("find", UNDO, "-printf", "%m %f\n").splitlines()
    assert sorted(listed) == sorted(
        ["700 undo", "700 r1", "600 kube-proxy.json", f"600 kube-proxy.iptables-{name}.save"]
    )
    save = node.run("cat", f"{UNDO}/r1/kube-proxy.iptables-{name}.save")
    assert [line for line in save.splitlines() if not line.startswith("#")] == before
    kept = json.loads(node.run("cat", f"{UNDO}/r1/kube-proxy.json"))
    assert "never restore" in kept["note"]
    assert kept["steps"][0]["target"] == f"iptables-{name} nat"


@pytest.mark.parametrize("name", BACKENDS)
def test_a_foreign_rule_keeps_just_the_chains_it_needs_and_is_named(node, name):
    restore(node, name, "ip", residue.neighbours())
    tool = f"iptables-{name}"
    restore(node, name, "ip", residue.iptables(services=2))
    node.run(tool, "-t", "nat", "-A", "CNI-DN-abc", "-p", "tcp", "-j", "KUBE-MARK-MASQ")
    for check in (True, False):
        found = rules(node, check=check)
        (blocker,) = found["blockers"]
        assert blocker["rules"] == ["-A CNI-DN-abc -p tcp -j KUBE-MARK-MASQ"]
        assert blocker["keeps"] == ["KUBE-MARK-MASQ", "KUBE-POSTROUTING"]
    save = "\n".join(everything(node, name))
    assert "-A CNI-DN-abc -p tcp -j KUBE-MARK-MASQ" in save
    assert "-j KUBE-POSTROUTING" in save
    assert "-A KUBE-MARK-MASQ -j MARK" in save
    assert not re.search(r"KUBE-(SVC|SEP|EXT|FORWARD|NODEPORTS|PROXY-)", save)
    assert rules(node)["changed"] is False
    # The blocker gone, the rest can go.
    node.run(tool, "-t", "nat", "-D", "CNI-DN-abc", "-p", "tcp", "-j", "KUBE-MARK-MASQ")
    assert rules(node)["changed"] is True
    assert "KUBE-MARK-MASQ" not in "\n".join(everything(node, name))


@pytest.mark.parametrize("name", BACKENDS)
def test_texts_of_others_are_never_commands(node, name):
    """A line break in a comment would end the line that iptables-restore reads."""
    restore(node, name, "ip", residue.iptables(services=1))
    tool = f"iptables-{name}"
    evil = 'x"\n-F INPUT\n-P INPUT DROP\n*raw'
    comment = ["-m", "comment", "--comment"]
    node.run(tool, "-t", "nat", "-I", "PREROUTING", *comment, evil, "-j", "KUBE-SERVICES")
    node.run(tool, "-A", "INPUT", *comment, "-j KUBE-FORWARD \\ ' \"", "-j", "ACCEPT")
    node.run(tool, "-I", "FORWARD", *comment, "\"'\\ ü", "-j", "KUBE-FORWARD")
    found = rules(node)
    assert [b["target"] for b in found["blockers"]] == ["KUBE-SERVICES"]
    save = "\n".join(everything(node, name))
    assert ":INPUT ACCEPT" in save
    assert "-A INPUT -m comment" in save
    assert save.count("-j KUBE-SERVICES") == 1
    assert "KUBE-FORWARD\n" not in save
    assert rules(node)["changed"] is False


@pytest.mark.skipif(bool(LACKS["ipset"]), reason=str(LACKS["ipset"]))
@pytest.mark.parametrize("name", BACKENDS)
def test_sets_go_after_the_rules_and_those_that_others_hold_stay(node, name):
    node.run("ipset", "restore", stdin=residue.ipsets())
    node.run("ipset", "create", "mine", "hash:ip")
    node.run("ipset", "create", "all", "list:set")
    node.run("ipset", "add", "all", "KUBE-NODE-PORT-SCTP-HASH")
    for family in TOOL:
        restore(node, name, family, residue.ipvs(family))
    mine = ["-m", "set", "--match-set", "KUBE-CLUSTER-IP", "dst,dst", "-j", "ACCEPT"]
    node.run(f"iptables-{name}", "-A", "INPUT", *mine)
    checked, applied = rules(node, check=True), rules(node)
    assert applied["diff"] == checked["diff"]
    assert {kept["name"] for kept in applied["kept"]} == {
        "KUBE-CLUSTER-IP",
        "KUBE-NODE-PORT-SCTP-HASH",
    }
    assert applied["kept"] == checked["kept"]
    left = node.run("ipset", "list", "-name").split()
    assert sorted(left) == ["KUBE-CLUSTER-IP", "KUBE-NODE-PORT-SCTP-HASH", "all", "mine"]
    rest = [line for f in TOOL for line in everything(node, name, f) if "KUBE-" in line]
    assert [line.partition("] ")[2] for line in rest] == [f"-A INPUT {' '.join(mine)}"]
    assert rules(node)["changed"] is False


@pytest.mark.skipif(bool(LACKS["ipset"]), reason=str(LACKS["ipset"]))
@pytest.mark.parametrize("name", BACKENDS)
def test_a_chain_that_stays_keeps_the_set_it_uses(node, name):
    node.run("ipset", "create", "KUBE-LOOP-BACK", "hash:ip,port,ip")
    loop = "-m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE"
    text = f"""*nat
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:MINE - [0:0]
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-POSTROUTING {loop}
-A MINE -j KUBE-MARK-MASQ
COMMIT
"""
    restore(node, name, "ip", text)
    found = rules(node)
    assert (found["changed"], [kept["name"] for kept in found["kept"]]) == (
        False,
        ["KUBE-LOOP-BACK"],
    )


@pytest.mark.skipif(bool(LACKS["nft"]), reason=str(LACKS["nft"]))
def test_nftables_mode_goes_and_antreas_table_stays(node):
    node.run("nft", "-f", "-", stdin=residue.nftables())
    antrea = node.run("nft", "list", "table", "ip", "antrea")
    checked, applied = rules(node, check=True), rules(node)
    assert applied["diff"] == checked["diff"]
    assert [s["target"] for s in applied["plan"]] == ["nft ip kube-proxy", "nft ip6 kube-proxy"]
    assert node.run("nft", "list", "ruleset") == antrea
    assert "chain services" in node.run("cat", f"{UNDO}/run/kube-proxy-nft-ip-kube-proxy.save")


@pytest.mark.skipif(bool(LACKS["nft"] or LACKS["legacy"]), reason="both back ends are needed")
def test_split_back_ends_are_both_cleaned(node):
    restore(node, "legacy", "ip", f"*nat\n:KUBE-SEP-{'B' * 16} - [0:0]\nCOMMIT\n")
    restore(node, "nft", "ip", "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n")
    node.run("nft", "-f", "-", stdin=residue.nftables())
    found = rules(node)
    assert [step["target"] for step in found["plan"]] == [
        "iptables-legacy nat",
        "nft ip kube-proxy",
        "nft ip6 kube-proxy",
    ]
    assert ":KUBE-IPTABLES-HINT - [0:0]" in everything(node, "nft")
    assert "KUBE-SEP" not in "\n".join(everything(node, "legacy"))
    assert node.run("nft", "list", "tables").split("\n")[:-1] == [
        "table ip mangle",
        "table ip antrea",
    ]


@pytest.mark.parametrize("name", BACKENDS)
def test_counters_go_when_no_rule_of_others_counts_in_them(node, name):
    object_of = "ct_state_invalid_dropped_pkts"
    restore(
        node,
        name,
        "ip",
        "*filter\n:KUBE-FORWARD - [0:0]\n-A FORWARD -j KUBE-FORWARD\nCOMMIT\n",
    )
    made = acct(node, "make", object_of, "localhost_nps_accepted_pkts", "mine")
    if made:
        pytest.skip(f"this kernel has no nfacct: {made}")
    match = ["-m", "nfacct", "--nfacct-name"]
    node.run(f"iptables-{name}", "-A", "KUBE-FORWARD", *match, object_of, "-j", "DROP")
    node.run(f"iptables-{name}", "-A", "INPUT", *match, "localhost_nps_accepted_pkts")
    checked, applied = rules(node, check=True), rules(node)
    assert applied["diff"] == checked["diff"]
    assert applied["plan"][-1]["target"] == "nfacct"
    assert [kept["name"] for kept in applied["kept"]] == ["localhost_nps_accepted_pkts"]
    assert acct(node, "list").split() == ["localhost_nps_accepted_pkts", "mine"]


ACCT = """
import sys
from ansible_collections.k8snet.cni.plugins.module_utils.node import _kube_rules_netlink as k
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink as nl
try:
    for name in sys.argv[2:]:
        k.command(nl.NETLINK_NETFILTER, 7 << 8, nl.netfilter(0) + nl.attribute(1, k._named(name)))
    if sys.argv[1] == "list":
        print(*sorted(a.name for a in k.accounts()))
except nl.NetlinkError as exc:
    print(exc)
"""


def acct(node, *words):
    return node.run("python3", "-c", ACCT, *words, env={"PYTHONPATH": COLLECTIONS}).strip()


@pytest.mark.parametrize("name", BACKENDS)
def test_while_kube_proxy_runs_in_the_nodes_network_it_is_refused(node, name, tmp_path):
    restore(node, name, "ip", residue.iptables(services=1))
    before = world(node, name)
    program = tmp_path / "kube-proxy"
    program.symlink_to("/bin/sleep")
    node.run("sh", "-c", f"{program} 1000 >/dev/null 2>&1 & echo $! > /var/lib/kp")
    for check in (True, False):
        assert "kube-proxy runs" in rules(node, check=check)["msg"]
    node.run("sh", "-c", "kill $(cat /var/lib/kp); rm /var/lib/kp")
    assert world(node, name) == before
    # One in a network of its own is none of this node's.
    node.run("sh", "-c", f"unshare -n {program} 1000 >/dev/null 2>&1 &")
    found = rules(node)
    assert found["changed"] is True, found


def test_options_that_are_wrong_are_refused(node):
    assert "run_id" in rules(node, run_id="../x")["msg"]
    assert "timeout" in rules(node, timeout=0)["msg"]
    assert "no network" in rules(node, service_cidrs=["10.96.0.1/12"])["msg"]
    assert "everybody" in rules(node, service_cidrs=["::/0"])["msg"]


def test_settings_are_reset_only_when_they_are_named(node):
    key = "net.ipv4.conf.all.route_localnet"
    node.run("sysctl", "-qw", f"{key}=1")
    assert rules(node)["changed"] is False
    checked = rules(node, check=True, reset_sysctls=[key])
    assert node.run("sysctl", "-n", key).strip() == "1"
    applied = rules(node, reset_sysctls=[key])
    assert applied["diff"] == checked["diff"]
    assert node.run("sysctl", "-n", key).strip() == "0"
    assert rules(node, reset_sysctls=[key])["changed"] is False


def with_wrapper(node, name, script, table="nat"):
    """Have ``script`` run before each restore of ``table``, when it was read; $n counts them."""
    wrapper = f"""#!/bin/sh
text=/var/lib/text
cat /dev/stdin > $text
if grep -q '^.{table}$' $text; then
  n=$(($(cat /var/lib/tries 2>/dev/null || echo 0) + 1)); echo $n > /var/lib/tries
  {script}
fi
exec xtables-{name}-multi iptables-restore "$@" < $text
"""
    path = f"/var/lib/bin/iptables-{name}-restore"
    node.run("sh", "-c", f"mkdir -p /var/lib/bin; cat > {path}; chmod 755 {path}", stdin=wrapper)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_reference_that_appears_meanwhile_is_noticed_and_kept(node, name):
    with_wrapper(node, name, f"[ $n = 1 ] && iptables-{name} -t nat -A MINE -j KUBE-MARK-MASQ")
    restore(node, name, "ip", "*nat\n:MINE - [0:0]\nCOMMIT\n")
    restore(node, name, "ip", residue.iptables(services=2))
    found = rules(node)
    assert found["changed"] is True
    assert found["retries"] == 1
    save = "\n".join(everything(node, name))
    assert "-A MINE -j KUBE-MARK-MASQ" in save
    assert "-j KUBE-POSTROUTING" in save
    assert not re.search(r"KUBE-(SVC|SEP|EXT|FORWARD|NODEPORTS|PROXY-)", save)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_jump_that_goes_meanwhile_is_noticed(node, name):
    delete = f"iptables-{name} -t nat -D PREROUTING 1"
    with_wrapper(node, name, f"[ $n = 1 ] && {delete}")
    restore(node, name, "ip", residue.iptables(services=1))
    found = rules(node)
    assert (found["changed"], found["retries"]) == (True, 1)
    assert "KUBE-" not in "\n".join(everything(node, name))


@pytest.mark.parametrize("name", BACKENDS)
def test_when_the_second_table_fails_the_first_is_done_and_the_next_run_goes_on(node, name):
    with_wrapper(node, name, "exit 1", "filter")
    restore(node, name, "ip", residue.neighbours())
    restore(node, name, "ip", residue.iptables(services=2))
    before = everything(node, name)
    found = rules(node)
    assert found["changed"] is True
    assert f"Removed by then: iptables-{name} nat." in found["msg"]
    assert "tried 4 times" in found["msg"]
    assert [step["target"] for step in found["plan"]] == [f"iptables-{name} nat"]
    assert node.run("cat", "/var/lib/tries").strip() == "4"
    after = everything(node, name)
    assert part(after, "filter") == part(before, "filter")
    assert part(after, "mangle") == part(before, "mangle")
    assert not re.search(r"KUBE-(SVC|SEP|SERVICES)", "\n".join(part(after, "nat")))
    with_wrapper(node, name, ":")
    found = rules(node)
    assert [s["target"].split()[1] for s in found["plan"]] == ["filter", "mangle"]
    assert rules(node)["changed"] is False


def part(save, table):
    start = save.index(f"*{table}")
    return save[start : save.index("COMMIT", start)]


@pytest.mark.parametrize("name", BACKENDS)
def test_without_room_for_the_evidence_nothing_is_touched(node, name):
    restore(node, name, "ip", residue.iptables(services=1))
    before = everything(node, name)
    node.run("mount", "-o", "remount,ro", "/var/lib")
    found = rules(node)
    assert "Nothing was changed" in found["msg"]
    assert found["changed"] is False
    assert everything(node, name) == before


FLOWS = """
import socket, sys
from ansible_collections.k8snet.cni.plugins.module_utils.node import _kube_rules_conntrack as c
if sys.argv[1] == "send":
    for word in sys.argv[2:]:
        kind, address, port = word.split(",")
        kind = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        made = socket.socket(socket.AF_INET, kind)
        made.setblocking(False)
        made.connect_ex((address, int(port)))
        if kind == socket.SOCK_DGRAM:
            made.send(b"x")
print(*sorted(f"{f.protocol},{f.destination},{f.port},{f.answerer}" for f in c.flows()))
"""


def flows(node, *words):
    return node.run("python3", "-c", FLOWS, *words, env={"PYTHONPATH": COLLECTIONS}).split()


@pytest.mark.skipif(bool(LACKS["nft"]), reason=str(LACKS["nft"]))
def test_stale_udp_entries_go_when_asked_and_no_others(node):
    node.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    node.run("ip", "route", "add", "local", "10.96.0.0/16", "dev", "lo")
    node.run("ip", "route", "add", "local", "169.254.0.0/16", "dev", "lo")
    node.run("sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=600")
    lines = ["*nat", *(f"-A OUTPUT {rule}" for rule in LEADING), "COMMIT"]
    # Unanswered, so that the entry of a TCP connection stays.
    lines += ["*filter", "-A INPUT -p tcp -j DROP", "COMMIT\n"]
    restore(node, "nft", "ip", "\n".join(lines))
    words = ["udp,10.96.0.10,53", "tcp,10.96.0.10,53", "udp,10.96.0.11,53"]
    words += ["udp,192.0.2.1,30053", "udp,192.0.2.1,30054", "udp,192.0.2.1,53"]
    before = flows(node, "send", *words)
    stale = ["17,10.96.0.10,53,192.0.2.1", "17,192.0.2.1,30053,127.0.0.1"]
    assert set(stale) < set(before)
    assert len(before) == len(words)
    cidrs = {"service_cidrs": ["10.96.0.0/16"]}
    assert rules(node, **cidrs)["changed"] is False
    assert "service_cidrs" in rules(node, stale_conntrack=True)["msg"]
    checked = rules(node, check=True, stale_conntrack=True, **cidrs)
    assert flows(node, "list") == before
    applied = rules(node, stale_conntrack=True, **cidrs)
    assert applied["diff"] == checked["diff"]
    assert [step["target"] for step in applied["plan"]] == ["conntrack"]
    assert flows(node, "list") == [flow for flow in before if flow not in stale]
    assert rules(node, stale_conntrack=True, **cidrs)["changed"] is False


# A Service of kube-proxy's, a NodePort of its, a NodePort of Antrea's, somebody's port.
LEADING = [
    "-d 10.96.0.10 -p udp --dport 53 -j DNAT --to-destination 192.0.2.1:5353",
    "-d 10.96.0.10 -p tcp --dport 53 -j DNAT --to-destination 192.0.2.1:5353",
    "-d 192.0.2.1 -p udp --dport 30053 -j DNAT --to-destination 127.0.0.1:5353",
    "-d 192.0.2.1 -p udp --dport 30054 -j DNAT --to-destination 169.254.0.252:30054",
    "-d 192.0.2.1 -p udp --dport 53 -j DNAT --to-destination 127.0.0.1:5353",
]


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_made_anew_is_told(node, name):
    anew = f"iptables-{name} -t nat -N KUBE-SERVICES"
    with_wrapper(node, name, f"trap '{anew}' EXIT", "mangle")
    path = f"/var/lib/bin/iptables-{name}-restore"
    node.run("sed", "-i", "s/^exec //", path)
    restore(node, name, "ip", residue.iptables(services=1))
    found = rules(node)
    assert "Applied but not effective" in found["msg"]
    assert f"iptables-{name} nat" in found["msg"]
    assert found["changed"] is True
    assert found["undo_path"] == f"{UNDO}/run"
