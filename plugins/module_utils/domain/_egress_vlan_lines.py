# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan about an Egress on a VLAN as a person reads it. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import (
    selector_words,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._plan_lines import labelled, table

Obj = dict[str, Any]


def lines(plan: Obj, options: Obj) -> list[str]:
    """Return what happens, on which nodes, what was seen there, what warns and what bars it."""
    width = int(options.get("width") or 100)
    found = labelled("PLAN", _what(plan, options), width)
    label = f"{plan['label']['key']}={plan['label']['value']}"
    for word, names in (("get", plan["adds"]), ("lose", plan["drops"])):
        if names:
            verb = word if len(names) > 1 else f"{word}s"
            found += labelled("Label", f"{', '.join(names)} {verb} {label}", width)
    if plan["state"] == "present":
        told = [_pool(plan, options), *plan["pool_changes"]]
        found += labelled("Pool", "; ".join(told), width)
        drill = _drill(plan, options)
        found += labelled("Drill", drill, width) if drill else []
        found += ["", *_table(plan)]
    for word, key in (("WARNING", "warnings"), ("REFUSED", "refusals")):
        for text in plan[key]:
            found += labelled(word, text, width)
    return found


def _what(plan: Obj, options: Obj) -> str:
    if plan["state"] == "absent":
        there = [
            f"{kind} {plan[key]}"
            for kind, key in (("Egress", "egress"), ("ExternalIPPool", "pool"))
            if plan["had"][key]
        ]
        return f"{' and '.join(there) or 'Nothing'} {'are' if len(there) > 1 else 'is'} removed"
    address = options["egress_ip"] or "an address of the pool"
    return (
        f"{_who(options['applied_to'])} leave with {address} on VLAN {plan['vlan']} by "
        f"{options['gateway']} (Egress {plan['egress']}, Antrea {plan['version'] or '?'})"
    )


def _who(applied_to: Obj) -> str:
    pods, spaces = (applied_to.get(key) for key in ("pod_selector", "namespace_selector"))
    if pods is None and spaces is None:
        return "No pods"
    who = f"Pods with {selector_words(pods)}" if pods else "Pods"
    if spaces is None:
        return who
    return f"{who} of {f'namespaces with {selector_words(spaces)}' if spaces else 'all namespaces'}"


def _pool(plan: Obj, options: Obj) -> str:
    ranges = [str(r.get("cidr") or f"{r.get('start')}-{r.get('end')}") for r in options["ranges"]]
    verb = "is there" if plan["had"]["pool"] else "is made"
    return (
        f"{plan['pool']} {verb}: {', '.join(ranges) or 'no range'} in a network of /"
        f"{options['prefix_length']}"
    )


def _drill(plan: Obj, options: Obj) -> str:
    if options["drill"] == "label":
        return (
            "In the end the label is taken off the node that has the address, which then moves, "
            "and is put back. Connections by the address break."
        )
    power = plan["power"]
    if not power or not power["node"]:
        return ""
    node = power["node"]
    return (
        f"In the end the power of {node} is cut by {power['off'] or '?'}, until another node has "
        f"the address or is late with it, and given back by {power['on'] or '?'} in any case. "
        f"Everything on {node} stops, and connections by the address break."
    )


def _table(plan: Obj) -> list[str]:
    rows = [("Node", f"VLAN {plan['vlan']}", "seen")]
    rows += [(name, f["verdict"], f["evidence"]) for name, f in plan["reach"].items()]
    return table(rows, most=len(rows))
