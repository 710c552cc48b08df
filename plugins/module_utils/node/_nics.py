# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node's interfaces, default routes and ways to given destinations, in one consistent read."""

from __future__ import annotations

import array
import contextlib
import fcntl
import importlib.util
import os
import socket
import struct
from typing import Any, Callable

from ..domain import _nics as domain
from . import _links

# Pods come and go while the kernel lists; a node that changes faster than this is read as it is.
_ATTEMPTS = 5
_SIOCETHTOOL = 0x8946
_ETHTOOL_GPERMADDR = 0x20
_MAX_ADDR_LEN = 32

_Reader = Callable[[list[tuple[str, str]]], _links.Snapshot]


def gather(
    reach: list[str] | None = None,
    include_pod_interfaces: bool = False,
    reach_timeout: float = 5.0,
    backend: str | None = None,
) -> dict[str, Any]:
    """Return ``{backend, nics, counts, default_routes, reach, fingerprint}``.

    ``backend`` is for tests: ``pyroute2`` or ``iproute2`` instead of the first that is there.
    Raises `_links.ReadError`.
    """
    name, reader = _backend(backend)
    # A module's files travel as source and are compiled at every run: what is not needed is left.
    if not reach:
        snapshot, reached = settle(reader, []), {}
    else:
        from . import _routes

        resolved = _routes.resolve(list(dict.fromkeys(reach)), reach_timeout)
        wanted = _routes.targets(resolved)
        snapshot = settle(reader, wanted)
        reached = _routes.reach(resolved, dict(zip(wanted, snapshot.found)))
    for link in snapshot.links:
        _hardware(link)
    facts = domain.build(snapshot.links, snapshot.routes, include_pod_interfaces)
    return {
        "backend": name,
        "nics": facts["nics"],
        "counts": facts["counts"],
        "default_routes": snapshot.routes,
        "reach": reached,
        "fingerprint": facts["fingerprint"],
    }


def _backend(asked: str | None) -> tuple[str, _Reader]:
    codec = None
    if asked != "iproute2" and importlib.util.find_spec("pyroute2") is not None:
        from . import _netlink

        codec = _netlink.load()
    if codec is None:
        if asked == "pyroute2":
            raise _links.ReadError(
                "Cannot read the network interfaces with pyroute2: the Python package cannot be "
                "imported on the node. Install it there, or leave the choice to the module."
            )
        from . import _iproute

        return "iproute2", _iproute.read
    from . import _rtnetlink

    usable = codec

    def read(targets: list[tuple[str, str]]) -> _links.Snapshot:
        return _rtnetlink.read(usable, targets)

    return "pyroute2", read


def settle(read: _Reader, targets: list[tuple[str, str]]) -> _links.Snapshot:
    """Read until the list is of one moment, at most a few times.

    Links and addresses are two lists of the kernel: an interface that vanishes between them would
    be left without its addresses. So the names are compared after the read, and while they
    differ (or the kernel itself reports an interruption) it is repeated. When a node never comes
    to rest, the result is what was seen of the interfaces that are still there.
    """
    seen: dict[tuple[int, str], dict[str, Any]] = {}
    for _attempt in range(_ATTEMPTS):
        snapshot = read(targets)
        present = {(index, _links.text(name)) for index, name in socket.if_nameindex()}
        listed = {(link["ifindex"], link["name"]) for link in snapshot.links}
        if not snapshot.interrupted and present == listed:
            return snapshot
        seen.update({(link["ifindex"], link["name"]): link for link in snapshot.links})
    return snapshot._replace(links=_still_there(snapshot.links, seen, present))


def _still_there(
    last: list[dict[str, Any]],
    seen: dict[tuple[int, str], dict[str, Any]],
    present: set[tuple[int, str]],
) -> list[dict[str, Any]]:
    """Return the last list without what vanished, and with what only an earlier one had."""
    links = [link for link in last if (link["ifindex"], link["name"]) in present]
    listed = {(link["ifindex"], link["name"]) for link in links}
    for key, link in sorted(seen.items(), key=lambda item: item[0][0]):
        if key in present and key not in listed:
            after = [n for n, other in enumerate(links) if other["ifindex"] < link["ifindex"]]
            links.insert(after[-1] + 1 if after else 0, link)
    return links


def _hardware(link: dict[str, Any]) -> None:
    """Add driver and bus, and the permanent MAC that ``ip`` leaves out when it is the present one.

    Only links without a kernel kind can sit on a bus, so that thousands of veths cost nothing.
    """
    link["driver"] = link["bus"] = None
    if link["info_kind"] or link["loopback"]:
        link["permanent_mac"] = None
        return
    base = f"/sys/class/net/{link['name']}/device"
    if not os.path.exists(base):
        link["permanent_mac"] = None
        return
    position = os.path.realpath(base)
    link["bus"] = _bus(position)
    # Some devices have no driver bound, or none that says so.
    with contextlib.suppress(OSError):
        link["driver"] = os.path.basename(os.readlink(position + "/driver"))
    if link["permanent_mac"] is None:
        link["permanent_mac"] = _permanent_mac(link["name"])


def _bus(position: str) -> str:
    """Return the place of a device: of a virtio device the PCI slot, since virtioN is renumbered
    at every boot by what else is plugged."""
    name = os.path.basename(position)
    parent = os.path.basename(os.path.dirname(position))
    return parent if name.startswith("virtio") and parent != "devices" else name


def _permanent_mac(name: str) -> str | None:
    """Ask the driver (ETHTOOL_GPERMADDR); None where it has none or does not tell."""
    request = array.array("B", struct.pack("=II", _ETHTOOL_GPERMADDR, _MAX_ADDR_LEN))
    request.extend(bytes(_MAX_ADDR_LEN))
    argument = struct.pack("16sP16x", name.encode()[:15], request.buffer_info()[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            fcntl.ioctl(channel.fileno(), _SIOCETHTOOL, argument)
    except OSError:
        return None
    result = request.tobytes()
    length = struct.unpack_from("=II", result)[1]
    value = result[8 : 8 + length]
    return value.hex(":") if any(value) else None
