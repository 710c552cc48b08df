# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a node matters to an Egress on a VLAN: transport interface, VLAN interfaces. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    VISITED,
    View,
    bare,
    match,
    nic_of,
)

Obj = dict[str, Any]

_SETTING = re.compile(r"-?(net[./]ipv4[./]conf[./](.+)[./]rp_filter)\s*=\s*(\d)\s*\Z")


class NicWords(NamedTuple):
    """A node's transport interface, None with what is wrong."""

    nic: Obj | None
    problem: str = ""


def nic(host: Obj, cluster: Obj, antrea: Obj, names: Iterable[str]) -> Obj:
    """Return ``{node, interface, mac}`` of a host; the last two of one of ``names`` only."""
    views = [view for view in match([host], cluster["nodes"]).views if view.state == VISITED]
    node = views[0].name if views and views[0].node is not None else None
    there = nic_of_view(views[0], antrea).nic if node in set(names) else None
    return {"node": node, "interface": (there or {}).get("name"), "mac": (there or {}).get("mac")}


def nic_of_view(view: View, antrea: Obj) -> NicWords:
    """Return the interface on which Antrea puts VLANs: as configured, else the Node's own."""
    nics = view.nics or []
    by_name = {entry["name"]: entry for entry in nics}
    named = antrea.get("transport_interface")
    if named:
        found = by_name.get(named)
        return NicWords(found, "" if found else f"it has no {named}, the transportInterface.")
    cidrs = antrea.get("transport_interface_cidrs") or ()
    if cidrs:
        for entry in nics:
            if any(_inside(address, cidrs) for address in entry.get("addresses") or ()):
                return NicWords(entry)
        return NicWords(None, f"it has no address in transportInterfaceCIDRs ({', '.join(cidrs)}).")
    for address in (view.node or {}).get("internal_ips") or ():
        name, _found = nic_of(nics, address)
        if name:
            return NicWords(by_name[name])
    return NicWords(None, "none of its interfaces has the Node's InternalIP.")


def _inside(address: Any, cidrs: Iterable[str]) -> bool:
    here = ipaddress.ip_address(bare(address))
    return any(here in ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


def foreign(nics: Iterable[Obj], parent: str, vlan: int) -> list[str]:
    """Return interfaces of the VLAN on ``parent`` that are not Antrea's."""
    return [
        entry["name"]
        for entry in nics
        if entry.get("parent") == parent
        and entry.get("vlan_id") == vlan
        and entry["name"] != device(vlan)
    ]


def device(vlan: int) -> str:
    """Return the name that Antrea gives a VLAN's interface."""
    return f"antrea-ext.{vlan}"


def strict_filters(lines: Iterable[str], vlan: int) -> list[str]:
    """Return those lines of sysctl.d that set a strict rp_filter on a VLAN's interface.

    An exact name wins over patterns, whatever their order.
    """
    exact, patterns = [], []
    for line in lines:
        found = _SETTING.match(line.strip())
        if not found:
            continue
        name = found[2].replace("/", ".") if "." in found[1].partition("conf")[0] else found[2]
        if name == device(vlan):
            exact.append((line.strip(), found[3]))
        elif fnmatch.fnmatchcase(device(vlan), name):
            patterns.append((line.strip(), found[3]))
    return [line for line, value in (exact or patterns) if value == "1"]


def held(host: Obj, vlan: int, address: str) -> list[str]:
    """Return what is wrong with a node that holds the address, by its facts read anew.

    ``host``: as `_nodes.match` takes it, with ``rp_filter``: [of all, of the interface].
    """
    nics = (host.get("facts") or {}).get("k8snet_nics") or ()
    there: Obj | None = next((n for n in nics if n["name"] == device(vlan)), None)
    if there is None:
        return [f"it has no {device(vlan)}. See the log of its antrea-agent."]
    found = []
    if there.get("vlan_id") != vlan:
        found.append(f"{device(vlan)} is not VLAN {vlan} but {there.get('vlan_id')}.")
    if not there["up"]:
        found.append(f"{device(vlan)} is down.")
    if bare(address) not in [bare(entry) for entry in there.get("addresses") or ()]:
        found.append(f"{device(vlan)} does not have {address}.")
    values = [int(text) for text in host.get("rp_filter") or ()]
    if values and max(values) == 1:
        found.append(
            f"rp_filter is strict on {device(vlan)}, so that answers are dropped: something has "
            f"reset it after Antrea. Set net.ipv4.conf.antrea-ext/{vlan}.rp_filter = 2 in a file "
            "of /etc/sysctl.d and apply that."
        )
    return found


def left(probes: Iterable[Obj], address: str, target: str) -> list[str]:
    """Return what is wrong with how pods leave. ``probes``: of egress_probe; ``target``: whom
    they asked."""
    found = []
    for probe in probes:
        if not probe["ok"]:
            found.append(f"Pod {probe['pod']} does not reach {target}: {probe['error']}.")
        elif probe["seen"] and address not in probe["seen"]:
            seen = ", ".join(probe["seen"])
            found.append(f"Pod {probe['pod']} leaves as {seen} and not as {address}.")
    return found
