# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to repair what the audit finds, in commands that can be pasted. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import Remedy

RECOMMENDED = "kubernetes-internal-ip"


def operator_value(method: str) -> dict[str, Any]:
    """Return a method in Calico's words as the operator's V4/V6 object, with exactly one key."""
    name, _equals, value = method.partition("=")
    if name == "kubernetes-internal-ip":
        return {"kubernetes": "NodeInternalIP"}
    if name == "first-found":
        return {"firstFound": True}
    if name == "cidr":
        return {"cidrs": [c.strip() for c in value.split(",")]}
    fields = {"interface": "interface", "skip-interface": "skipInterface", "can-reach": "canReach"}
    return {fields[name]: value}


def autodetection(calico: dict[str, Any], family: int, method: str, why: str = "") -> Remedy:
    """Return how to switch one family to ``method``.

    Operator: the whole object is replaced by one JSON patch. A merge patch would leave the
    default that the operator writes back (``firstFound: true``) standing beside the new key.
    """
    text = f"Set the method for IPv{family} to {method}{why}."
    commands: tuple[str, ...] = ()
    install = calico["install"]
    if install == "operator" and calico["installation"]:
        commands = (_operator_patch(calico["installation"], family, method),)
        text += " The operator then restarts calico-node node by node."
    elif install == "manifest" and calico["daemonset"]:
        commands = (_set_env(calico, family, method),)
        text += " That restarts calico-node node by node."
    elif install == "operator":
        text += " It belongs into the operator's Installation, which this account may not read."
    else:
        text += " Finish the migration to the operator first: two calico-node DaemonSets exist."
    if not _by_playbook(calico, family):
        return Remedy(text=text, commands=commands)
    variables = {f"calico_autodetection_method_v{family}": method}
    other = 10 - family
    if calico["methods"][f"v{other}"]["mode"] != "off":
        variables[f"calico_autodetection_method_v{other}"] = ""  # left alone
    return Remedy(text, commands, "k8snet.cni.calico_autodetection", variables)


def _by_playbook(calico: dict[str, Any], family: int) -> bool:
    """Return whether the playbook changes this install; what it refuses is not recommended."""
    if calico["install"] == "manifest":
        return bool(calico["methods"][f"v{family}"]["mode"] == "autodetect")
    return bool(calico["install"] == "operator")


def _operator_patch(installation: dict[str, Any], family: int, method: str) -> str:
    field = f"nodeAddressAutodetectionV{family}"
    path, value = f"/spec/calicoNetwork/{field}", operator_value(method)
    if not installation["has_calico_network"]:
        path, value = "/spec/calicoNetwork", {field: value}
    # "add" replaces the whole member if it exists, and creates it if not (RFC 6902, 4.1).
    patch = json.dumps([{"op": "add", "path": path, "value": value}], separators=(",", ":"))
    name = installation[f"from_v{family}"]
    return (
        f"kubectl patch installations.operator.tigera.io {name} --type=json -p {shlex.quote(patch)}"
    )


def _set_env(calico: dict[str, Any], family: int, method: str) -> str:
    prefix = "IP" if family == 4 else "IP6"
    ds = calico["daemonset"]
    settings = [f"{prefix}_AUTODETECTION_METHOD={method}"]
    if calico["env"][prefix]["value"] != "autodetect":
        settings.append(f"{prefix}=autodetect")
    words = " ".join(shlex.quote(s) for s in settings)
    return f"kubectl -n {ds['namespace']} set env daemonset/{ds['name']} -c calico-node {words}"


def baseline(nodes: list[str]) -> Remedy:
    """Return how to accept a node's NICs as they are now."""
    hosts = shlex.quote(",".join(nodes))
    return Remedy(
        text="If the change was meant, record the NICs as they are now; if not, undo it.",
        commands=(f"ansible-playbook k8snet.cni.baseline -i <inventory> -l {hosts}",),
        playbook="k8snet.cni.baseline",
    )


def new_baseline(host: str) -> Remedy:
    """Return how to replace a baseline that cannot be read: recording alone would refuse it."""
    name = shlex.quote(host)
    return Remedy(
        text="Remove it, and record the NICs again once they are as they should be.",
        commands=(
            f"ansible -i <inventory> {name} -b -m k8snet.cni.nic_baseline -a state=absent",
            f"ansible-playbook k8snet.cni.baseline -i <inventory> -l {name}",
        ),
        playbook="k8snet.cni.baseline",
    )


def flow_restore(ovs: dict[str, Any]) -> Remedy:
    """Return how to clear flow-restore-wait on a node."""
    socket = ovs.get("socket") or "/var/run/antrea/openvswitch/db.sock"
    return Remedy(
        text=(
            "The playbook judges whether it is stuck, clears it over any address that answers, and "
            "sees the agent heal. By hand, on the node or in the container antrea-ovs: the second "
            "command, once Antrea's own flows are installed (their cookie is not 0). Without them "
            "the bridge becomes a plain switch and every NetworkPolicy is off until the agent is "
            "back."
        ),
        commands=(
            "ansible-playbook k8snet.cni.antrea_flow_restore -i <inventory>",
            f"ovs-vsctl --no-wait --db=unix:{shlex.quote(socket)} remove Open_vSwitch . "
            "other_config flow-restore-wait",
        ),
        playbook="k8snet.cni.antrea_flow_restore",
    )


def kube_proxy() -> Remedy:
    """Return how to remove what kube-proxy left."""
    return Remedy(
        text=(
            "Run kube-proxy's own clean-up in the node's network namespace, twice on IPVS nodes "
            "(the first run reports a failure yet cleans), or reboot the node. Never pipe "
            "iptables-save through grep: it deletes rules of kubelet and others."
        ),
        commands=("kube-proxy --cleanup",),
        playbook="k8snet.cni.kube_proxy_removal",
    )
