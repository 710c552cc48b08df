# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bars a checkpoint from being armed, found before anything is done."""

from __future__ import annotations

import os
import socket
from typing import Any

from ..domain import _checkpoint as domain
from . import _checkpoint_read as reading
from . import _checkpoint_store as storing
from . import _checkpoint_units as units
from ._checkpoint_store import CheckpointError, Store
from ._links import ReadError

#: What all of it needs on the disk, generously.
_ROOM = 4 << 20


def timely(timeout: int) -> None:
    """Raise CheckpointError for a time that is no good."""
    low, high = domain.TIMEOUTS
    if not low <= timeout <= high:
        raise CheckpointError(
            f"timeout: {timeout} s is not between {low} and {high} s. It must be longer than "
            "the change and its confirmation, and short enough to wait for. Nothing was "
            "changed."
        )


def allowed(store: Store, name: str, timeout: int) -> None:
    """Raise CheckpointError where the checkpoint ``name`` cannot be armed."""
    timely(timeout)
    units.need_systemd()
    armed = store.armed()
    if armed is not None:
        state = store.state(armed)
        gone = state == storing.ARMED and units.timer_state(armed) == units.GONE
        without = ", though its timer is gone," if gone else ""
        raise CheckpointError(
            f"Checkpoint '{armed}' is {state} on this node{without} so no other can "
            f"be armed. Confirm it (state: confirmed, id: {armed}) if the node is as it should "
            f"be, or roll it back (state: rolled_back, id: {armed}). Nothing was changed."
        )
    if store.state(name) not in (None, storing.PREPARING):
        raise CheckpointError(
            f"There is a checkpoint '{name}' already ({store.state(name)}). "
            "Use another id, or remove it with state: absent. Nothing was changed."
        )
    _not_held(store, store.held())
    _room(store.root)


def _not_held(store: Store, held: dict[str, Any] | None) -> None:
    if held is not None and not held.get("id"):
        raise CheckpointError(
            f"Something is held on this node, and {store.hold_file} does not say what "
            "and why. Find that out, remove the file, and start what is stopped (kubelet). "
            "Nothing was changed."
        )
    if held is not None:
        raise CheckpointError(
            f"Checkpoint '{held.get('id')}' holds {', '.join(held.get('units', []))} on this "
            f"node ({store.hold_file}). Remove the cause, then lift the hold with state: "
            "absent and that id. Nothing was changed."
        )


def _room(root: str) -> None:
    """Raise CheckpointError where the disk is full or read-only, before anything is done."""
    place = root
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    found = os.statvfs(place)
    if found.f_flag & os.ST_RDONLY:
        raise CheckpointError(
            f"{place} is read-only, so no checkpoint can be kept there. See the kernel's log, "
            "repair the disk and mount it writable. Nothing was changed."
        )
    if found.f_bavail * found.f_frsize < _ROOM or (found.f_files and not found.f_favail):
        raise CheckpointError(
            f"The disk of {place} is full: {_ROOM >> 20} MiB are needed to keep a checkpoint. Free "
            "some space there. Nothing was changed."
        )


def leads(addresses: list[str]) -> list[str]:
    """Return the links over which addresses are reached now. Raises CheckpointError."""
    found = []
    for address in addresses:
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
            route = reading.json_of("route", "get", address)[0]
            found.append(str(route["dev"]))
        except (OSError, ReadError, LookupError):
            raise CheckpointError(
                f"scope.reach: nothing leads to '{address}' now, or it is no IP address. Name what "
                "this node reaches. Nothing was changed."
            ) from None
    return found
