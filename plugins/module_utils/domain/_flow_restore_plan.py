# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of antrea_flow_restore would do on each node, for people to read first. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _console_page as console
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_LINUX,
    UNREACHABLE,
    VISITED,
    View,
    match,
)

_MOST_NODES = 60
#: Verdicts that leave nothing to do.
_FINE = {"not_set": "not set", "no_ovs": "no Open vSwitch"}


def plan(
    cluster: dict[str, Any],
    silent: dict[str, int | None],
    hosts: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return ``{clear, left, lines, pages}``.

    ``cluster``: k8snet_cluster of cluster_info; without access it has no nodes. ``silent``: Node ->
    seconds since its agent's last heartbeat. ``hosts``: as `_nodes.match` takes them, and each with
    ``tried`` (pairs of address and why it did not answer), ``through`` (the address that
    answered, or None) and ``verdict`` (of ovs_flow_restore_wait with state=read, or None).

    ``clear``: hosts whose key will be cleared; ``left``: what people have to see to, in sentences;
    ``pages``: host that no address led to -> lines for its console.
    """
    views = [v for v in match(hosts, cluster["nodes"]).views if v.host and v.state != NOT_LINUX]
    views.sort(key=lambda view: view.name)
    clear: list[str] = []
    left: list[str] = []
    pages: dict[str, list[str]] = {}
    for view in views:
        host = view.host or {}
        verdict = host.get("verdict") or {}
        if view.state == UNREACHABLE:
            pages[host["name"]] = console.page(_cut_off(view, cluster, silent))
            left.append(f"{view.name} cannot be reached: its page says what to type.")
        elif view.state != VISITED:
            left.append(f"{view.name} could not be examined: {host.get('error') or 'see above'}")
        elif verdict.get("act"):
            clear.append(host["name"])
        elif verdict.get("code") not in _FINE:
            left.append(f"{view.name}: {verdict.get('reason')}")
    rows = [("Node", "reached by", "flow-restore-wait", "")]
    rows += [_row(view, (view.host or {}).get("verdict") or {}) for view in views]
    return {"clear": clear, "left": left, "pages": pages, "lines": _table(rows) + _reasons(views)}


def _row(view: View, verdict: dict[str, Any]) -> tuple[str, str, str, str]:
    host = view.host or {}
    if view.state == UNREACHABLE:
        return view.name, "nothing", "?", "console"
    if view.state != VISITED:
        return view.name, str(host.get("through") or "-"), "?", "could not be examined"
    code = str(verdict.get("code") or "unknown")
    state = _FINE.get(code, "set")
    act = "clear" if verdict.get("act") else ""
    if not act and state == "set":
        act = "REFUSED" if verdict.get("stuck") else "leave"
    return view.name, str(host.get("through") or "-"), state, act


def _table(rows: list[tuple[str, str, str, str]]) -> list[str]:
    """Return the rows in columns; those where nothing is to be done may be left out."""
    shown = [rows[0], *[r for r in rows[1:] if r[3]], *[r for r in rows[1:] if not r[3]]]
    shown = shown[: _MOST_NODES + 1]
    wide = [max(len(row[i]) for row in shown) for i in range(3)]
    lines = [f"{a:{wide[0]}}  {b:{wide[1]}}  {c:{wide[2]}}  {d}".rstrip() for a, b, c, d in shown]
    if len(rows) > len(shown):
        lines.append(f"... and {len(rows) - len(shown)} more")
    return lines


def _reasons(views: list[View]) -> list[str]:
    """Return why a set key is cleared or not, and what that brings, node by node."""
    lines: list[str] = []
    for view in views:
        verdict = (view.host or {}).get("verdict") or {}
        if "code" not in verdict or verdict["code"] in _FINE:
            continue
        lines += ["", f"{view.name}: {verdict['reason']}"]
        lines += [f"WARNING  {view.name}: {text}" for text in verdict.get("warnings") or ()]
    return lines


def _cut_off(view: View, cluster: dict[str, Any], silent: dict[str, int | None]) -> console.CutOff:
    antrea = cluster.get("antrea") or {}
    ready = (view.node or {}).get("ready")
    bridge = next(iter(antrea.get("secondary_bridges") or ()), None)
    config = antrea.get("config_map")
    return console.CutOff(
        node=view.name,
        internal_ips=tuple((view.node or {}).get("internal_ips") or ()),
        tried=tuple((str(a), str(why)) for a, why in (view.host or {}).get("tried") or ()),
        bridge=bridge["name"] if bridge else None,
        nics=tuple(str(nic) for nic in bridge["interfaces"]) if bridge else (),
        silent=silent.get(view.name),
        ready=("Unknown" if ready is None else str(ready)) if view.node else None,
        config=f"ConfigMap {antrea['namespace']}/{config}" if config else None,
    )
