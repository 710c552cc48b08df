# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that takes a run back, complete enough to be typed anywhere. Pure."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

#: What ansible-playbook takes as it is after ``-e name=``; it would split or unescape other words.
_PLAIN = re.compile(r"[^\s'\"\\]+")
_GROUP = "k8snet_hosts"


def rollback_command(run_id: str, settings: dict[str, Any]) -> str:
    """Return the command line, quoted for a shell.

    ``settings``: inventories (as ansible_inventory_sources), where (undo_bundle's), namespace,
    kubeconfig, context, hosts. The folder of bundles is always told, since the default lies below
    the folder in which one happens to be; the others only where they are not the default.
    """
    words = ["ansible-playbook", "k8snet.cni.rollback"]
    for source in settings.get("inventories") or ():
        words += ["-i", str(source)]
    namespace, hosts = settings.get("namespace"), settings.get("hosts")
    named = {
        "k8snet_run_id": run_id,
        "k8snet_kubeconfig": settings.get("kubeconfig"),
        "k8snet_context": settings.get("context"),
        "k8snet_undo_namespace": namespace,
        "k8snet_undo_dir": None if namespace else _folder(settings.get("where"), run_id),
        "k8snet_hosts": None if hosts == _GROUP else hosts,
    }
    for name, value in named.items():
        if value:
            words += ["-e", _setting(name, value)]
    return shlex.join(words)


def _folder(where: str | None, run_id: str) -> str | None:
    """Return the folder of bundles in which that of a run lies, ``FOLDER/RUN/cluster.json``."""
    folder, found, _file = (where or "").rpartition(f"/{run_id}/")
    return (folder or "/") if found else None


def _setting(name: str, value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return f"{name}={value}"
    return json.dumps({name: value})
