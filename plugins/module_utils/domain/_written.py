# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a file of a ConfigMap was written, and whether a pod can have read it. Pure.

Times are RFC 3339 in UTC, to the second, as the API server writes them.
"""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]


def last_written(config_map: Obj, file: str) -> str | None:
    """Return when a manager of this key last wrote, None if no manager says so.

    A manager that wrote several files in turns has one time for all: it may have been another's.
    """
    times = [
        str(entry["time"])
        for entry in config_map["metadata"].get("managedFields") or ()
        if entry.get("time") and f"f:{file}" in ((entry.get("fieldsV1") or {}).get("f:data") or {})
    ]
    return max(times, default=None)


def unread(config_map: Obj | None, file: str, made: str | None) -> str | None:
    """Return the time of a write that a pod made at ``made`` may not have read, else None.

    A process reads its file when it starts. A pod made in the second of the write may have read
    what was there before; where the ConfigMap is of the same second, there was nothing before.
    """
    written = last_written(config_map, file) if config_map else None
    if not config_map or not made or not written or made > written:
        return None
    first = config_map["metadata"].get("creationTimestamp")
    return None if made == written == first else written
