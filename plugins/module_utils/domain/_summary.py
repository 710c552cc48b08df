# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that a person reads in ten seconds. Pure."""

from __future__ import annotations

import shlex
import textwrap
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    CRITICAL,
    INFO,
    SHIPPED_PLAYBOOKS,
    plural,
)

# Findings shown in full; the rest is counted, findings.json has them all.
_MOST = 12
_LABEL = 8


def summary_lines(report: dict[str, Any], width: int) -> list[str]:
    """Return the summary of a report (see `_report.report`), the worst first.

    Lines are wrapped at ``width`` columns, except commands: those can be pasted as they are.
    """
    lines = [*_head(report), ""]
    findings = report["findings"]
    for entry in findings[:_MOST]:
        lines += _entry(entry, width)
    if len(findings) > _MOST:
        lines.append(f"... and {plural(len(findings) - _MOST, 'finding')} more in findings.json.")
    if not findings:
        lines.append("Nothing to report.")
    if report["could_not_check"] and report["cluster"]["available"]:
        blind = "; ".join(entry["what"] for entry in report["could_not_check"])
        lines += _labelled("Blind to", blind, width, indent=0)
    return [_printable(line) for line in lines]


def _printable(line: str) -> str:
    """Return a line that cannot steer the terminal: nodes' words are in it, a broken one's too."""
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)


def _head(report: dict[str, Any]) -> list[str]:
    counts, cluster = report["counts"], report["cluster"]
    lines = [
        f"AUDIT    {counts['critical']} critical, {plural(counts['warning'], 'warning')}, "
        f"{counts['info']} info; {counts['visited']} of {plural(counts['nodes'], 'node')} visited"
    ]
    if not cluster["available"]:
        return [*lines, "Cluster  not read: only what the nodes themselves tell"]
    context = f" (context {cluster['context']})" if cluster["context"] else ""
    lines.append(f"Cluster  {cluster['server']}{context}, {plural(cluster['nodes'], 'Node')}")
    return [*lines, *_calico(cluster["calico"]), *_antrea(cluster)]


def _calico(calico: dict[str, Any]) -> list[str]:
    if calico["install"] in (None, "none"):
        return []
    version = calico["version"] or "(version unknown)"
    if calico["install"] == "canal":
        device = calico["canal_interface"] or "the default route's device"
        return [f"Calico   {version} as Canal: flannel takes the address of {device}"]
    ways = [
        f"IPv{name[1]} by {method['method']}"
        for name, method in calico["methods"].items()
        if method["method"]
    ]
    how = {"operator": "by operator", "manifest": "by manifest"}.get(calico["install"], "migrating")
    poll = f", every {calico['poll_interval']:g} s" if ways and calico["poll_interval"] else ""
    return [f"Calico   {version} {how}, {' and '.join(ways) or 'no autodetection'}{poll}"]


def _antrea(cluster: dict[str, Any]) -> list[str]:
    antrea, proxy = cluster["antrea"], cluster["kube_proxy"]
    if not antrea["installed"]:
        return []
    proxy_all = {True: "on", False: "off"}.get(antrea["proxy_all"], "unknown")
    runs = proxy["present"] or proxy["in_process"]
    return [
        f"Antrea   {antrea['version'] or '(version unknown)'}, proxyAll {proxy_all}, "
        f"kube-proxy {'present' if runs else 'absent'}"
    ]


def _entry(entry: dict[str, Any], width: int) -> list[str]:
    head = f"{entry['severity'].upper():{_LABEL}} {entry['id']}  {entry['subject']}"
    lines = [head, *_wrap(entry["summary"], width, " " * (_LABEL + 1))]
    if entry["severity"] == INFO:
        return [*lines, ""]
    if entry["since"]:
        lines += _labelled("since", entry["since"], width)
    if entry["severity"] == CRITICAL:
        chosen = entry["evidence"].get("next") or {}
        if chosen.get("reason"):
            lines += _labelled("why", chosen["reason"], width)
        lines += _methods(entry["evidence"].get("candidates"))
    remedy = entry["remedy"]
    lines += _labelled("repair", remedy["text"], width)
    lines += [" " * (_LABEL + 1) + command for command in remedy["commands"]]
    playbook = remedy["playbook"]
    if playbook and not any(playbook in command for command in remedy["commands"]):
        when = "or" if playbook in SHIPPED_PLAYBOOKS else "or, from the release that ships it"
        variables = "".join(
            f" -e {shlex.quote(f'{k}={v}')}" for k, v in remedy["variables"].items()
        )
        lines.append(
            f"{' ' * (_LABEL + 1)}{when}: ansible-playbook {playbook} -i <inventory>{variables}"
        )
    return [*lines, ""]


def _methods(table: Any) -> list[str]:
    """Return what each method would choose, aligned; only tables of a single node are shown."""
    if not isinstance(table, list) or not table:
        return []
    rows = []
    for row in table:
        pick = f"{row['address']} ({row['interface']})" if row["address"] else "nothing"
        notes = [
            n for n, on in (("InternalIP", row["internal_ip"]), ("in use", row["in_use"])) if on
        ]
        rows.append((row["method"], pick, ", ".join(notes)))
    wide = [max(len(row[i]) for row in rows) for i in (0, 1)]
    lines = []
    for number, (method, pick, note) in enumerate(rows):
        label = "picks" if number == 0 else ""
        text = f"{label:{_LABEL}} {method:{wide[0]}}  {pick:{wide[1]}}  {note}"
        lines.append(text.rstrip())
    return lines


def _labelled(label: str, text: str, width: int, indent: int = 0) -> list[str]:
    first, *rest = _wrap(text, width, " " * (indent + _LABEL + 1))
    return [f"{label:{indent + _LABEL}} {first.lstrip()}", *rest]


def _wrap(text: str, width: int, margin: str) -> list[str]:
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [margin]
