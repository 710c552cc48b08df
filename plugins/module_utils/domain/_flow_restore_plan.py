# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of antrea_flow_restore would do on each node, for people to read first. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _console_page as console
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_LINUX,
    UNREACHABLE,
    VISITED,
    View,
    match,
)

Obj = dict[str, Any]

_MOST_NODES = 60
_MOST_NAMES = 10
#: Seconds since its last heartbeat within which an agent lives: it reports every minute.
_ALIVE = 120
#: Verdicts that leave nothing to do.
_FINE = {"not_set": "not set", "no_ovs": "no Open vSwitch"}


def views_of(cluster: Obj, hosts: list[Obj]) -> list[View]:
    """Return each host with its Node, by name. A second host of one Node stands for itself."""
    scope = match(hosts, cluster["nodes"])
    views = [v for v in scope.views if v.host and v.state != NOT_LINUX]
    rivals = {name for c in scope.conflicts for name in c["hosts"] if name != c["taken"]}
    views += [View(h["name"], h["state"], None, h, None) for h in hosts if h["name"] in rivals]
    return sorted(views, key=lambda view: view.name)


def nodes_of(cluster: Obj, hosts: list[Obj]) -> dict[str, Obj]:
    """Return host -> name and InternalIPs of its Node, for the hosts that have one."""
    return {
        view.host["name"]: {
            "name": view.node["name"],
            "internal_ips": list(view.node.get("internal_ips") or ()),
        }
        for view in views_of(cluster, hosts)
        if view.host and view.node
    }


def plan(cluster: Obj, silent: dict[str, float | None], hosts: list[Obj], guard: str = "") -> Obj:
    """Return ``{to_clear, to_guard, left, lines, pages}``.

    ``cluster``: k8snet_cluster of cluster_info; without access it has no nodes. ``silent``: Node ->
    seconds since its agent's last heartbeat. ``hosts``: as `_nodes.match` takes them, and each with
    ``tried`` (pairs of address and why it did not answer), ``through`` (the address that
    answered, or None) and ``verdict`` (of ovs_flow_restore_wait with state=read, or None).
    ``guard``: what is to become of the guard: present, absent, or "" for nothing.

    ``to_clear``: hosts whose key will be cleared, in this order; ``to_guard``: hosts to put it on
    or take it from; ``left``: what people have to see to, in sentences; ``pages``:
    ``{host, file, lines}`` for the console of each host that no address led to.
    """
    views = views_of(cluster, hosts)
    clear = [_name(view) for view in views if _act(view)]
    pages = [
        {
            "host": _name(view),
            "file": file_name(_name(view)),
            "lines": console.page(_cut_off(view, cluster, silent)),
        }
        for view in views
        if view.state == UNREACHABLE
    ]
    reached = [_name(view) for view in views if (view.host or {}).get("through")] if guard else []
    left = [sentence for view in views for sentence in _left(view, silent)]
    rows = [("Node", "reached by", "flow-restore-wait", "")]
    rows += [_row(view, clear) for view in views]
    lines = [*_table(rows), *_reasons(views), *_unseen(cluster, views)]
    lines += ["", *_sum(clear, left, reached, guard)]
    return {"to_clear": clear, "to_guard": reached, "left": left, "pages": pages, "lines": lines}


def file_name(host: str) -> str:
    """Return a name for a host's page: no part of a path, and no two hosts' the same."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", host)[:100]
    if plain == host and host and not host.startswith("."):
        return f"{host}.txt"
    digest = hashlib.sha256(host.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{plain.lstrip('.')}-{digest[:8]}.txt"


def _name(view: View) -> str:
    return str((view.host or {})["name"])


def _verdict(view: View) -> Obj:
    return (view.host or {}).get("verdict") or {}


def _act(view: View) -> bool:
    return view.state == VISITED and bool(_verdict(view).get("act"))


def _left(view: View, silent: dict[str, float | None]) -> list[str]:
    """Return what people have to see to on one node."""
    verdict = _verdict(view)
    if view.state == UNREACHABLE:
        age = silent.get(view.name)
        page = "its page says what to type at its console."
        if age is not None and age < _ALIVE:
            reported = f"though its agent reported {int(age)} s ago"
            return [
                f"{view.name} cannot be reached, {reported}: see whether only ssh fails; {page}"
            ]
        return [f"{view.name} cannot be reached: {page}"]
    if view.state != VISITED:
        error = (view.host or {}).get("error") or "see above"
        return [f"{view.name} could not be examined: {error}"]
    if _act(view) or verdict.get("code") in _FINE:
        return []
    return [f"{view.name}: {verdict.get('reason')}"]


def _row(view: View, clear: list[str]) -> tuple[str, str, str, str]:
    through = str((view.host or {}).get("through") or "-")
    if view.state == UNREACHABLE:
        return view.name, "nothing", "?", "console"
    if view.state != VISITED:
        return view.name, through, "?", "could not be examined"
    code = str(_verdict(view).get("code") or "unknown")
    if code in _FINE:
        return view.name, through, _FINE[code], ""
    if _act(view):
        first = len(clear) > 1 and clear[0] == _name(view)
        return view.name, through, "set", "clear first" if first else "clear"
    return view.name, through, "set", "REFUSED" if _verdict(view).get("stuck") else "leave"


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
        verdict = _verdict(view)
        if "code" not in verdict or verdict["code"] in _FINE:
            continue
        lines += ["", f"{view.name}: {verdict['reason']}"]
        lines += [f"WARNING  {view.name}: {text}" for text in verdict.get("warnings") or ()]
    return lines


def _unseen(cluster: Obj, views: list[View]) -> list[str]:
    """Return what was not looked at: the cluster, or Nodes that are no host of this run."""
    access = cluster.get("access") or {}
    if not cluster["nodes"]:
        return [
            "",
            f"NOT SEEN  The cluster: {access.get('error') or 'it has no Nodes.'}",
            "          Each node is judged by what is on it; whether agents heal is not looked at.",
        ]
    seen = {view.name for view in views}
    linux = [n["name"] for n in cluster["nodes"] if n.get("os") == "linux"]
    names = sorted(name for name in linux if name not in seen)
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ["", f"NOT SEEN  No host of this run is Node {', '.join(names[:_MOST_NAMES])}{more}."]


def _sum(clear: list[str], left: list[str], reached: list[str], guard: str) -> list[str]:
    """Return what will be done, and how much of it is left to people."""
    lines = []
    if clear:
        lines.append(f"To clear: {', '.join(clear)}.")
    if left:
        lines.append(f"Left to you: {_count(len(left), 'node')}.")
    if guard:
        lines.append(f"Guard {guard}: on {_count(len(reached), 'node')}.")
    return lines or ["Nothing is to be done."]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _cut_off(view: View, cluster: Obj, silent: dict[str, float | None]) -> console.CutOff:
    antrea = cluster.get("antrea") or {}
    ready = (view.node or {}).get("ready")
    bridge = next(iter(antrea.get("secondary_bridges") or ()), None)
    config = antrea.get("config_map")
    age = silent.get(view.name)
    return console.CutOff(
        node=view.name,
        host=_name(view),
        internal_ips=tuple((view.node or {}).get("internal_ips") or ()),
        tried=tuple((str(a), str(why)) for a, why in (view.host or {}).get("tried") or ()),
        bridge=bridge["name"] if bridge else None,
        nics=tuple(str(nic) for nic in bridge["interfaces"]) if bridge else (),
        silent=None if age is None else int(age),
        ready=("Unknown" if ready is None else str(ready)) if view.node else None,
        config=f"ConfigMap {antrea['namespace']}/{config}" if config else None,
    )
