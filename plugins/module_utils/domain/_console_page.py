# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to type at the console of a node that flow-restore-wait has cut off. Pure.

For a person at a remote console who may have to type it: short where a container runtime helps,
with a second way that needs nothing but Python, and each step says what its answer should be.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

SOCKET = "/var/run/antrea/openvswitch/db.sock"


@dataclass(frozen=True)
class CutOff:
    """What is known of a node that nobody reaches.

    ``host``: its name in the inventory; ``tried``: address -> why it did not answer; ``nics``: what
    Antrea's configuration puts on ``bridge`` there, empty if it puts nothing; ``silent``: seconds
    since the agent's last heartbeat, None if there was none; ``config``: the object that holds the
    configuration.
    """

    node: str
    host: str | None = None
    internal_ips: tuple[str, ...] = ()
    tried: tuple[tuple[str, str], ...] = ()
    bridge: str | None = None
    nics: tuple[str, ...] = ()
    silent: int | None = None
    ready: str | None = None
    config: str | None = None
    socket: str = SOCKET


def clear_command(socket: str = SOCKET) -> str:
    """Return a command that clears the key with nothing but Python, as OVSDB's own protocol has it.

    It prints ``count`` 1 when the row was found, whether or not the key was there.
    """
    return (
        "python3 -c 'import socket as s; c = s.socket(s.AF_UNIX); "
        f'c.connect("{socket}"); '
        'c.send(b"""{"id":1,"method":"transact","params":["Open_vSwitch",{"op":"mutate",'
        '"table":"Open_vSwitch","where":[],"mutations":[["other_config","delete",'
        '["set",["flow-restore-wait"]]]]}]}"""); print(c.recv(4096))\''
    )


def short_command(rest: str) -> str:
    """Return a command in Antrea's own container, for nodes without Open vSwitch's programs."""
    return f"crictl exec $(crictl ps -q --name antrea-ovs) ovs-vsctl --no-wait {rest}"


def see_command(socket: str = SOCKET) -> str:
    """Return a command that prints the key's map, with nothing but Python."""
    return (
        "python3 -c 'import socket as s; c = s.socket(s.AF_UNIX); "
        f'c.connect("{socket}"); '
        'c.send(b"""{"id":1,"method":"transact","params":["Open_vSwitch",{"op":"select",'
        '"table":"Open_vSwitch","where":[],"columns":["other_config"]}]}"""); '
        "print(c.recv(4096))'"
    )


def page(cut: CutOff) -> list[str]:
    """Return one page: what is known, what to type as root, what to expect, what comes after."""
    limit = shlex.quote(f"{cut.host or cut.node},localhost")
    again = f"ansible-playbook k8snet.cni.antrea_flow_restore -i <inventory> -l {limit}"
    return [
        f"NODE {cut.node} CANNOT BE REACHED",
        "",
        "Known",
        *_known(cut),
        "",
        "At its console, as root",
        "",
        "1. Is Open vSwitch waiting? The answer has flow-restore-wait and true:",
        f"   {short_command('get Open_vSwitch . other_config')}",
        "   or",
        f"   {see_command(cut.socket)}",
        "   If it has not, this page is not for this node: look at ip -br address and ip route.",
        "   If nothing listens there, Open vSwitch is down: systemctl restart kubelet, then again.",
        "",
        "2. Is the node's address on an internal port of a bridge? Then the node is cut off:",
        "   ip -br address",
        *_expected(cut),
        "",
        "3. Clear it. Network policies are off until the agent is back:",
        f"   {short_command('remove Open_vSwitch . other_config flow-restore-wait')}",
        "   or, with the answer count 1",
        f"   {clear_command(cut.socket)}",
        "",
        "4. The gateway answers within seconds:",
        "   ping -c 3 $(ip route | awk '/^default/ {print $3; exit}')",
        "",
        "5. Back at the controller, see that the agent heals and that the flag stays away:",
        f"   {again}",
        *_cause(cut),
    ]


def _known(cut: CutOff) -> list[str]:
    lines = []
    if cut.internal_ips:
        lines.append(f"  InternalIP   {', '.join(cut.internal_ips)}")
    if cut.ready is not None:
        lines.append(f"  Node Ready   {cut.ready}")
    if cut.silent is not None:
        lines.append(f"  Agent        last heard of {cut.silent} s ago")
    if cut.nics:
        where = f" ({cut.config})" if cut.config else ""
        lines.append(f"  Antrea       puts {', '.join(cut.nics)} on bridge {cut.bridge}{where}")
    lines += [f"  Tried        {address}: {why}" for address, why in cut.tried]
    return lines or ["  nothing"]


def _expected(cut: CutOff) -> list[str]:
    if not cut.nics:
        return []
    nic = cut.nics[0]
    address = f" with {cut.internal_ips[0]}" if cut.internal_ips else ""
    return [f"   Expected: {nic}{address}, and beside it {nic}~ without an address."]


def _cause(cut: CutOff) -> list[str]:
    if not cut.nics:
        return []
    where = cut.config or "Antrea's configuration"
    role = "antrea_secondary_network"
    return [
        "",
        "It comes back with the next restart of Open vSwitch or of the node as long as",
        f"{where} puts {cut.nics[0]} on {cut.bridge}. Take that away in daylight:",
        f"   ansible-playbook k8snet.cni.{role} -i <inventory> -e {role}_state=absent",
        f"   -e {shlex.quote(f'{role}_bridge={cut.bridge}')}",
    ]
