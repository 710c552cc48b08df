# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""antrea-agent's part in ClusterNetworkPolicies for nodes: chains of iptables, IPv4.

Source: antrea-io/antrea ``pkg/agent/controller/networkpolicy/node_reconciler_linux.go``,
``pkg/agent/route``. Played are peers that are address blocks, and TCP and UDP ports. As the real
ones, the chains outlive the process. The controller's word that a policy is realized comes from the
agent here.
"""

from __future__ import annotations

import subprocess
from typing import Any

from tests.lab.actors.antrea_rules import Fatal, selects
from tests.lab.api.client import Client

Obj = dict[str, Any]
POLICIES = "/apis/crd.antrea.io/v1beta1/clusternetworkpolicies"
_SIDES = {"ingress": ("INPUT", "-s", "-i"), "egress": ("OUTPUT", "-d", "-o")}
_TARGETS = {"Allow": "ACCEPT", "Drop": "DROP", "Reject": "REJECT", "Pass": "RETURN"}


def chains(policies: list[Obj], labels: dict[str, str]) -> dict[str, list[str]]:
    """Return what the chains of a node with these labels hold. Pure."""
    found: dict[str, list[str]] = {}
    mine = [policy for policy in policies if _applies(policy, labels)]
    for side, (_hook, peer_word, nic_word) in _SIDES.items():
        pre, own = f"ANTREA-POL-PRE-{side.upper()}-RULES", f"ANTREA-POL-{side.upper()}-RULES"
        stands = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        found[pre] = [f"-A {pre} {stands}", f"-A {pre} {nic_word} lo -j ACCEPT"]
        found[own] = []
        for policy in sorted(mine, key=lambda p: p["spec"].get("priority", 5)):
            for rule in policy["spec"].get(side) or ():
                for match in _matches(rule, side, peer_word):
                    target = _TARGETS[rule["action"]]
                    found[own].append(" ".join(f"-A {own} {match} -j {target}".split()))
    return found


def _applies(policy: Obj, labels: dict[str, str]) -> bool:
    applied = policy["spec"].get("appliedTo") or ()
    return any("nodeSelector" in a and selects(a["nodeSelector"], labels) for a in applied)


def _matches(rule: Obj, side: str, peer_word: str) -> list[str]:
    peers = [f"{peer_word} {p['ipBlock']['cidr']}" for p in rule.get(_peer_key(side)) or ()]
    ports = []
    for entry in rule.get("ports") or ():
        span = f"{entry['port']}:{entry['endPort']}" if "endPort" in entry else str(entry["port"])
        ports.append(f"-p {str(entry.get('protocol', 'TCP')).lower()} --dport {span}")
    return [f"{peer} {port}" for peer in peers or [""] for port in ports or [""]]


def _peer_key(side: str) -> str:
    return "from" if side == "ingress" else "to"


class NodePolicies:
    """One life of the agent's controller."""

    def __init__(self, node: str) -> None:
        self.node = node
        self._written = ""

    def sync(self, api: Client) -> bool:
        """Write the chains when they change; whether rules of a policy were written.

        Raises Fatal, and what the API raises.
        """
        labels = api.get(f"/api/v1/nodes/{self.node}")["metadata"].get("labels") or {}
        policies = api.items(POLICIES)
        wanted = chains(policies, labels)
        text = "".join(f"{line}\n" for lines in wanted.values() for line in lines)
        news = text != self._written
        if news:
            self._write(wanted)
            self._written = text
        for policy in policies:
            done = (policy.get("status") or {}).get("observedGeneration")
            if _applies(policy, labels) and done != policy["metadata"]["generation"]:
                status = {
                    "phase": "Realized",
                    "observedGeneration": policy["metadata"]["generation"],
                }
                api.patch(f"{POLICIES}/{policy['metadata']['name']}/status", {"status": status})
        return news and any(_applies(policy, labels) for policy in policies)

    def _write(self, wanted: dict[str, list[str]]) -> None:
        lines = ["*filter"]
        for side in _SIDES:
            lines.append(f":ANTREA-{_SIDES[side][0]} - [0:0]")
        lines += [f":{name} - [0:0]" for name in wanted]
        for side, (hook, _peer, _nic) in _SIDES.items():
            for chain in (
                f"ANTREA-POL-PRE-{side.upper()}-RULES",
                f"ANTREA-POL-{side.upper()}-RULES",
            ):
                lines.append(f"-A ANTREA-{hook} -j {chain}")
        lines += [rule for rules in wanted.values() for rule in rules]
        _run(["iptables-nft-restore", "--noflush"], "\n".join([*lines, "COMMIT", ""]))
        for hook in ("INPUT", "OUTPUT"):
            jump = [hook, "-j", f"ANTREA-{hook}"]
            if subprocess.run(
                ["iptables-nft", "-C", *jump], check=False, stderr=subprocess.DEVNULL
            ).returncode:
                _run(["iptables-nft", "-I", *jump], "")


def _run(command: list[str], text: str) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Fatal(f"{command[0]}: {done.stderr.strip()}")
