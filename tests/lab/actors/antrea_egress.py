# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""antrea-agent's part in Egress: the addresses that are this node's, their VLAN, and the way there.

Source: antrea-io/antrea ``pkg/agent/controller/egress``, ``pkg/agent/ipassigner``,
``pkg/agent/route``. What differs: nftables marks pods by source, where flows do; what is for an
address of another node goes there over IPIP, where it is Geneve. The outer destination is the
Egress IP, as with Antrea: nodes that have the pods need a route to it.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.actors import antrea_egress_rules as rules
from tests.lab.actors import antrea_ovs as ovs
from tests.lab.actors import antrea_proxy
from tests.lab.actors.antrea_members import Members
from tests.lab.actors.antrea_rules import Version
from tests.lab.api.client import Client

Obj = dict[str, Any]

GROUP = "/apis/crd.antrea.io/v1beta1"
EGRESSES, POOLS = f"{GROUP}/egresses", f"{GROUP}/externalippools"
DUMMY = "antrea-egress0"
PERIOD = 1.0
_BROADCAST = b"\xff" * 6


def stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Egresses:
    """One life of the agent's controller."""

    def __init__(
        self, node: str, conf: Obj, version: Version, members: Members, say: Callable[[str], None]
    ) -> None:
        self.node = node
        self.conf = conf
        self.version = version
        self.members = members
        self.say = say
        self.separate = rules.separates(conf, version)
        self._next = 0.0
        self._begun = self._busy = False
        self._text = ""
        self._marks: dict[str, int] = {}
        self._peers: dict[str, str] = {}

    def sync(self, api: Client, own: Obj) -> None:
        """Bring the node closer to what the API says, once a second. Raises OSError, ApiStatus."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PERIOD
        egresses = api.items(EGRESSES)
        if not self._begun:
            self._begin(own)
        nodes = api.items("/api/v1/nodes")
        self.members.know(nodes)
        if not self.members.ready() or not (egresses or self._busy):
            return
        self._busy = bool(egresses)
        pools = {pool["metadata"]["name"]: pool for pool in api.items(POOLS)}
        plan = rules.schedule(egresses, pools, nodes, self.members.alive())
        mine = self._mine(egresses, pools, plan)
        self._assign(mine, egresses, transport(self.conf, own))
        self._forward(api, egresses, plan, mine, nodes, own)
        self._marks = {entry.address: entry.mark for entry in mine}
        for egress in egresses:
            self._report(api, egress, plan)

    # -- which ------------------------------------------------------------------------------------

    def _mine(
        self, egresses: Sequence[Obj], pools: Mapping[str, Obj], plan: Mapping[str, str | None]
    ) -> list[rules.Local]:
        found: dict[str, rules.Local] = {}
        for egress in egresses:
            address = egress["spec"].get("egressIP") or ""
            if plan.get(egress["metadata"]["name"]) == self.node and address not in found:
                subnet = rules.subnet_of(pools.get(egress["spec"]["externalIPPool"]), self.separate)
                taken = {*self._marks.values(), *(entry.mark for entry in found.values())}
                mark = self._marks.get(address) or min(set(range(1, 256)) - taken)
                found[address] = rules.Local(address, mark, subnet)
        return list(found.values())

    # -- addresses --------------------------------------------------------------------------------

    def _begin(self, own: Obj) -> None:
        """Forget the tables of the last life: marks are new."""
        parent = transport(self.conf, own)
        for rule in json.loads(ovs.run("ip", "-4", "-j", "rule", "show")):
            table = str(rule.get("table", ""))
            if table.isdigit() and int(table) in (*rules.TABLES, *rules.FAR_TABLES):
                ovs.run("ip", "-4", "rule", "del", "priority", str(rule["priority"]))
                ovs.run("ip", "-4", "route", "flush", "table", table)
        if rules.takes_foreign(self.version):
            for name in _vlans(parent):
                if not name.startswith("antrea-ext."):
                    self.say(f"{name}: its addresses are no Egress's: deleting them")
                    ovs.run("ip", "-4", "address", "flush", "dev", name, "scope", "global")
        self._begun = True

    def _assign(self, mine: Sequence[rules.Local], egresses: Sequence[Obj], parent: str) -> None:
        wanted = {(self._device(entry), f"{entry.address}/{entry.prefix}") for entry in mine}
        have = {
            (device, address)
            for device in (DUMMY, *_vlans(parent))
            if device == DUMMY or device.startswith("antrea-ext.")
            for address in _addresses(device)
        }
        for device, address in sorted(have - wanted):
            self.say(f"unassigning {address} from {device}")
            ovs.run("ip", "address", "del", address, "dev", device)
            if device != DUMMY and not _addresses(device):
                ovs.run("ip", "link", "del", device)
        claimed = {
            egress["spec"].get("egressIP")
            for egress in egresses
            if (egress.get("status") or {}).get("egressNode") == self.node
        }
        for entry in mine:
            device = self._device(entry)
            self._ensure_device(device, entry, parent)
            address = f"{entry.address}/{entry.prefix}"
            new = (device, address) not in have
            if new:
                self.say(f"assigning {address} to {device}")
                ovs.run("ip", "address", "replace", address, "dev", device)
            if new or entry.address not in claimed:
                advertise(entry.address, parent if device == DUMMY else device)

    @staticmethod
    def _device(entry: rules.Local) -> str:
        return rules.vlan_device(entry.subnet.vlan) if entry.subnet and entry.subnet.vlan else DUMMY

    @staticmethod
    def _ensure_device(device: str, entry: rules.Local, parent: str) -> None:
        if device == DUMMY:
            if not ovs.exists(DUMMY):
                ovs.run("ip", "link", "add", DUMMY, "type", "dummy")
        elif not ovs.exists(device):
            vlan = str(entry.subnet.vlan if entry.subnet else 0)
            ovs.run("ip", "link", "add", "link", parent, "name", device, "type", "vlan", "id", vlan)
            _sysctl(device, "rp_filter", "2")
            _sysctl(device, "promote_secondaries", "1")
            ovs.run("ip", "link", "set", "dev", device, "up")

    # -- ways -------------------------------------------------------------------------------------

    def _forward(
        self,
        api: Client,
        egresses: Sequence[Obj],
        plan: Mapping[str, str | None],
        mine: Sequence[rules.Local],
        nodes: Sequence[Obj],
        own: Obj,
    ) -> None:
        self._route_peers(nodes)
        namespaces = {n["metadata"]["name"]: n for n in api.items("/api/v1/namespaces")}
        pods = api.items("/api/v1/pods", fieldSelector=f"spec.nodeName={self.node}")
        local = {entry.address: entry for entry in mine}
        marks: dict[str, tuple[int, str]] = {}
        far: dict[str, int] = {}
        for egress in egresses:
            address = egress["spec"].get("egressIP") or ""
            if not address or not plan.get(egress["metadata"]["name"]):
                continue
            for pod in rules.pods_of(egress, pods, namespaces):
                if address in local:
                    marks[pod] = (local[address].mark, rules.MASK)
                else:
                    marks[pod] = (far.setdefault(address, len(far) + 1) << 8, rules.FAR_MASK)
        self._tunnels(far, list(local))
        self._tables(mine, far)
        skipped = [services(self.conf), "10.244.0.0/16"]
        skipped += [a for node in nodes for a in _internal(node)]
        skipped += (self.conf.get("egress") or {}).get("exceptCIDRs") or []
        devices = [rules.far_device(address) for address in far]
        text = rules.flows(mine, marks, devices, skipped, own["spec"]["podCIDR"])
        if text != self._text:
            ovs.run("nft", "-f", "-", text=text)
            self._text = text

    def _route_peers(self, nodes: Sequence[Obj]) -> None:
        wanted = antrea_proxy.peers(nodes, self.node)
        for cidr, address in wanted.items() - self._peers.items():
            ovs.run("ip", "route", "replace", cidr, "via", address)
        self._peers = wanted

    @staticmethod
    def _tunnels(far: Mapping[str, int], near: Sequence[str]) -> None:
        wanted = {rules.far_device(a): ("remote", a) for a in far}
        wanted.update({rules.near_device(a): ("local", a) for a in near})
        have = [path.name for path in Path("/sys/class/net").glob("eg[nf]-*")]
        for device in set(have) - set(wanted):
            ovs.run("ip", "link", "del", device)
        for device, words in wanted.items():
            if device not in have:
                ovs.run("ip", "link", "add", device, "type", "ipip", *words)
                _sysctl(device, "rp_filter", "0")
                ovs.run("ip", "link", "set", "dev", device, "up")

    def _tables(self, mine: Sequence[rules.Local], far: Mapping[str, int]) -> None:
        wanted: dict[tuple[str, str], list[tuple[str, ...]]] = {}
        subnets = list(dict.fromkeys(entry.subnet for entry in mine if entry.subnet))
        for entry in mine:
            if entry.subnet:
                device = self._device(entry) if entry.subnet.vlan else ""
                on = ("dev", device) if device else ()
                network = f"{entry.subnet.gateway}/{entry.subnet.prefix}"
                table = rules.TABLES[subnets.index(entry.subnet)]
                wanted[(f"{entry.mark:#x}/{rules.MASK}", str(table))] = [
                    (_network(network), *on, "scope", "link"),
                    ("default", "via", entry.subnet.gateway, *on, *(("onlink",) if on else ())),
                ]
        for address, count in far.items():
            key = (f"{count << 8:#x}/{rules.FAR_MASK}", str(rules.FAR_TABLES[count - 1]))
            wanted[key] = [("default", "dev", rules.far_device(address))]
        ours = {str(n) for n in (*rules.TABLES, *rules.FAR_TABLES)}
        have = {
            (f"{rule['fwmark']}/{rule['fwmask']}", str(rule["table"])): str(rule["priority"])
            for rule in json.loads(ovs.run("ip", "-4", "-j", "rule", "show"))
            if str(rule.get("table", "")) in ours
        }
        for key in have.keys() - wanted.keys():
            ovs.run("ip", "-4", "rule", "del", "priority", have[key])
        for gone in {t for _m, t in have} - {t for _m, t in wanted}:
            ovs.run("ip", "-4", "route", "flush", "table", gone)
        for (mark, number), routes in wanted.items():
            for route in routes:
                ovs.run("ip", "-4", "route", "replace", *route, "table", number)
            if (mark, number) not in have:
                ovs.run("ip", "-4", "rule", "add", "fwmark", mark, "lookup", number)

    # -- status -----------------------------------------------------------------------------------

    def _report(self, api: Client, egress: Obj, plan: Mapping[str, str | None]) -> None:
        """Write the status where it is this node's to write: it has the address, or nobody has."""
        name, status = egress["metadata"]["name"], egress.get("status") or {}
        if name not in plan:
            return
        node, first = plan[name], min(self.members.alive(), default="")
        if node == self.node:
            new = {"egressNode": node, "egressIP": egress["spec"]["egressIP"]}
            words = (True, "Assigned", "EgressIP is successfully assigned to EgressNode")
        elif node is None and first == self.node:
            new = {"egressNode": "", "egressIP": ""}
            why = "Failed to assign the IP to EgressNode: no Node available"
            words = (False, "AssignmentError", why)
        else:
            return
        conditions = status.get("conditions") or []
        fresh = rules.condition("IPAssigned", *words, stamp())
        told = rules.with_condition(conditions, fresh) if self.version >= (1, 14, 0) else None
        if told is None and all((status.get(key) or "") == value for key, value in new.items()):
            return
        body = {**new, **({"conditions": told} if told is not None else {})}
        meta = {"resourceVersion": egress["metadata"]["resourceVersion"]}
        api.patch(f"{EGRESSES}/{name}/status", {"metadata": meta, "status": body})


def transport(conf: Obj, node: Obj) -> str:
    """Return the transport interface: as configured, else the one with the node's address."""
    named = str(conf.get("transportInterface") or "")
    own = _internal(node)
    for link in json.loads(ovs.run("ip", "-4", "-j", "address")):
        if named == link["ifname"] or (
            not named and any(entry["local"] in own for entry in link["addr_info"])
        ):
            return str(link["ifname"])
    raise OSError(f"no transport interface {named or ', '.join(own)}")


def services(conf: Obj) -> str:
    return str(conf.get("serviceCIDR") or "10.96.0.0/12")


def advertise(address: str, device: str) -> None:
    """Tell neighbours that an address is here: a gratuitous ARP."""
    mac = bytes.fromhex(Path("/sys/class/net", device, "address").read_text().replace(":", ""))
    own = socket.inet_aton(address)
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + own + _BROADCAST + own
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((device, 0))
        link.send(_BROADCAST + mac + struct.pack("!H", 0x0806) + arp)


def _internal(node: Obj) -> list[str]:
    found = (node.get("status") or {}).get("addresses") or ()
    return [entry["address"] for entry in found if entry["type"] == "InternalIP"]


def _vlans(parent: str) -> list[str]:
    links = json.loads(ovs.run("ip", "-j", "link", "show", "type", "vlan"))
    return [link["ifname"] for link in links if link.get("link") == parent]


def _addresses(device: str) -> list[str]:
    if not ovs.exists(device):
        return []
    links = json.loads(ovs.run("ip", "-4", "-j", "address", "show", "dev", device))
    entries = [entry for link in links for entry in link.get("addr_info", ())]
    return [f"{entry['local']}/{entry['prefixlen']}" for entry in entries]


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


def _sysctl(device: str, key: str, value: str) -> None:
    Path("/proc/sys/net/ipv4/conf", device, key).write_text(value, encoding="ascii")
