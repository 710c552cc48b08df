# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A double of Proxmox's API: the part that reads VMs, writes a NIC's line, and switches them.

Over TLS and with a token, as strict as the real one: unknown parameters, lines that its schema
refuses, a wrong digest and a locked VM are errors. A line that is written is sorted, and applied at
once, unless the VM is `held`: then it is pending until the VM was off. Where the bridge does not
take it, the NIC is off its bridge and the line pending. What it does to the world is told to a
`Wire`.

Source: qemu-server ``src/PVE/API2/Qemu.pm``, ``src/PVE/QemuServer.pm`` (vmconfig_update_net),
``src/PVE/QemuServer/Network.pm``; pve-common ``src/PVE/JSONSchema.pm``; pve-manager
``PVE/API2/Network.pm``; pve-access-control ``src/PVE/API2/AccessControl.pm``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.lab.proxmox_lines import Refused, digest, print_line, read_line
from tests.lab.proxmox_server import Server

Obj = dict[str, Any]
NODE = "pve1"
#: Ways that are served, and their parameters.
_ROUTES = {
    ("GET", "version"): (),
    ("GET", "access/permissions"): ("path",),
    ("GET", "nodes"): (),
    ("GET", "cluster/resources"): ("type",),
    ("GET", "nodes/{node}/qemu"): ("full",),
    ("GET", "nodes/{node}/network"): ("type",),
    ("GET", "nodes/{node}/qemu/{vmid}/config"): ("current",),
    ("PUT", "nodes/{node}/qemu/{vmid}/config"): ("digest", "net0", "net1", "net2", "net3"),
    ("GET", "nodes/{node}/qemu/{vmid}/pending"): (),
    ("GET", "nodes/{node}/qemu/{vmid}/status/current"): (),
    ("POST", "nodes/{node}/qemu/{vmid}/status/shutdown"): ("timeout", "forceStop"),
    ("POST", "nodes/{node}/qemu/{vmid}/status/start"): (),
    ("GET", "nodes/{node}/tasks/{upid}/status"): (),
    ("GET", "nodes/{node}/tasks/{upid}/log"): ("limit", "start"),
}


class Wire:
    """What a VM's state does to the world; nothing unless a test says otherwise."""

    def plug(self, vm: Vm, net: str, options: dict[str, str]) -> None:
        """A NIC's port gets what its line says."""

    def unplug(self, vm: Vm, net: str) -> None:
        """A NIC loses its port."""

    def stop(self, vm: Vm) -> None:
        """The VM is shut down; returns when it is off."""

    def start(self, vm: Vm) -> None:
        """The VM is started."""


@dataclass
class Vm:
    """One VM. ``held``: changes wait for a power cycle. ``hastate``: what HA is to do with it.

    ``slow``: its guest shuts down after the task has given up.
    """

    vmid: int
    name: str
    config: dict[str, str]
    status: str = "running"
    held: bool = False
    hastate: str = ""
    slow: bool = False
    pending: dict[str, str] = field(default_factory=dict)


Work = Callable[[Vm], None]


class Proxmox:
    """The double, from `start` to `stop`. ``bridges``: of its one node.

    ``edited``: its bridges after somebody has edited, but not applied them. ``rights``: what the
    token may, on all. ``denied``: (method, route) -> reason of a 403. ``requests``: (method, path,
    parameters).
    """

    user, token_id, secret = "ops@pve", "k8snet", "3f1d5b1e-very-secret-c0ffee"

    def __init__(self, folder: Path, vms: list[Vm], wire: Wire | None = None) -> None:
        self.folder = folder
        self.vms = {vm.vmid: vm for vm in vms}
        self.wire = wire or Wire()
        aware: Obj = {"iface": "vmbr0", "type": "bridge", "active": 1, "bridge_vlan_aware": 1}
        self.bridges: list[Obj] = [aware, {"iface": "eno1", "type": "eth", "active": 1}]
        self.edited: list[Obj] | None = None
        self.rights = {"VM.Audit", "VM.Config.Network", "VM.PowerMgmt", "SDN.Use", "Sys.Audit"}
        self.denied: dict[tuple[str, str], str] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._tasks: dict[str, Obj] = {}
        self._lock = threading.RLock()
        self._server: Server | None = None

    # -- serving ----------------------------------------------------------------------------------

    def start(
        self, address: str = "127.0.0.1", port: int = 0, inside: int | None = None
    ) -> Proxmox:
        """Serve, in the network of process ``inside`` if one is given."""
        self._server = Server(self.folder, self.answer, address, port, inside)
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.port

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def written(self) -> list[tuple[str, str]]:
        """Return each request that writes: method and path."""
        return [(method, path) for method, path, _parameters in self.requests if method != "GET"]

    # -- answers ----------------------------------------------------------------------------------

    def answer(self, method: str, uri: str, token: str, body: str) -> Obj:
        """Return the answer to one request. Raises Refused."""
        if token != f"PVEAPIToken={self.user}!{self.token_id}={self.secret}":
            raise Refused(401, "invalid token value!")
        url = urlsplit(uri)
        path = unquote(url.path).removeprefix("/api2/json/").strip("/")
        given = dict(parse_qsl(url.query if method == "GET" else body, keep_blank_values=True))
        route, found = _match(method, path)
        if (method, route) in self.denied:
            raise Refused(403, self.denied[method, route])
        odd = [key for key in given if key not in _ROUTES[method, route]]
        if odd:
            why = "property is not defined in schema and the schema does not allow additional ones"
            raise Refused(400, "Parameter verification failed.", dict.fromkeys(odd, why))
        if found.get("node", NODE) != NODE:
            raise Refused(595, "No route to host")
        with self._lock:
            self.requests.append((method, path, given))
            words = "_".join(part for part in route.split("/") if not part.startswith("{"))
            ask: Callable[[dict[str, str], dict[str, str]], Any]
            ask = getattr(self, f"_{method.lower()}_{words}")
            answer: Obj = {"data": ask(found, given)}
            if route == "nodes/{node}/network" and self.edited is not None:
                answer["changes"] = "--- /etc/network/interfaces\n+++ /etc/network/interfaces.new"
            return answer

    def _vm(self, found: dict[str, str]) -> Vm:
        vm = self.vms.get(int(found["vmid"]))
        if vm is None:
            why = (
                f"Configuration file 'nodes/{NODE}/qemu-server/{found['vmid']}.conf' does not exist"
            )
            raise Refused(500, why)
        return vm

    def _get_version(self, _found: Obj, _given: Obj) -> Obj:
        return {"version": "8.4.1", "release": "8.4", "repoid": "2a5fa54a8503f96d"}

    def _get_access_permissions(self, _found: Obj, given: dict[str, str]) -> Obj:
        return {given["path"]: dict.fromkeys(sorted(self.rights), 1)} if self.rights else {}

    def _get_nodes(self, _found: Obj, _given: Obj) -> list[Obj]:
        return [{"node": NODE, "status": "online", "type": "node", "id": f"node/{NODE}"}]

    def _get_cluster_resources(self, _found: Obj, _given: Obj) -> list[Obj]:
        return [
            {**vm, "id": f"qemu/{vm['vmid']}", "type": "qemu", "node": NODE, **self._ha(vm["vmid"])}
            for vm in self._list()
        ]

    def _ha(self, vmid: int) -> dict[str, str]:
        state = self.vms[vmid].hastate
        return {"hastate": state} if state else {}

    def _get_nodes_qemu(self, _found: Obj, _given: Obj) -> list[Obj]:
        return self._list()

    def _list(self) -> list[Obj]:
        vms = self.vms.values()
        return [{"vmid": vm.vmid, "name": vm.name, "status": vm.status} for vm in vms]

    def _get_nodes_network(self, _found: Obj, _given: Obj) -> list[Obj]:
        """Return what is to be, as the real one does, not what is."""
        shown = self.bridges if self.edited is None else self.edited
        bridges = ("bridge", "OVSBridge")
        return [i for i in shown if "SDN.Use" in self.rights or i["type"] not in bridges]

    def _get_nodes_qemu_config(self, found: dict[str, str], given: dict[str, str]) -> Obj:
        vm = self._vm(found)
        current = given.get("current") == "1"
        return {
            **vm.config,
            **({} if current else vm.pending),
            "digest": digest(vm.config, vm.pending),
        }

    def _put_nodes_qemu_config(self, found: dict[str, str], given: dict[str, str]) -> None:
        vm = self._vm(found)
        if "VM.Config.Network" not in self.rights:
            raise Refused(403, f"Permission check failed (/vms/{vm.vmid}, VM.Config.Network)")
        lines = {key: read_line(text) for key, text in given.items() if key != "digest"}
        if given.get("digest") not in (None, digest(vm.config, vm.pending)):
            raise Refused(500, "checksum mismatch (file change by other user?)")
        if vm.config.get("lock"):
            raise Refused(500, f"VM is locked ({vm.config['lock']})")
        for net, options in lines.items():
            vm.pending[net] = print_line(options)
            if vm.pending[net] == vm.config.get(net):
                del vm.pending[net]
            elif vm.status != "running":
                vm.config[net] = vm.pending.pop(net)
            elif not vm.held:
                self._replug(vm, net, options)
                vm.config[net] = vm.pending.pop(net)

    def _replug(self, vm: Vm, net: str, options: dict[str, str]) -> None:
        """Off the bridge first, and on it again only if that takes the line."""
        try:
            self._check_bridge(options)
        except Refused as error:
            self.wire.unplug(vm, net)
            why = {net: f"hotplug problem - {error.reason}"}
            raise Refused(400, "Parameter verification failed.", why) from None
        self.wire.plug(vm, net, options)

    def _check_bridge(self, options: dict[str, str]) -> None:
        known = {bridge["iface"]: bridge for bridge in self.bridges}
        bridge = known.get(options.get("bridge", ""))
        if bridge is None:
            raise Refused(500, f"bridge '{options.get('bridge')}' does not exist")
        if options.get("trunks") and not bridge.get("bridge_vlan_aware"):
            raise Refused(500, "vlan aware feature need to be enabled to use trunks")

    def _get_nodes_qemu_pending(self, found: dict[str, str], _given: Obj) -> list[Obj]:
        vm = self._vm(found)
        keys = sorted({*vm.config, *vm.pending})
        answer: list[Obj] = []
        for key in keys:
            values = {"value": vm.config.get(key), "pending": vm.pending.get(key)}
            answer.append({"key": key, **{k: v for k, v in values.items() if v is not None}})
        return answer

    def _get_nodes_qemu_status_current(self, found: dict[str, str], _given: Obj) -> Obj:
        vm = self._vm(found)
        ha = {"managed": 1, "state": vm.hastate} if vm.hastate else {"managed": 0}
        return {"vmid": vm.vmid, "name": vm.name, "status": vm.status, "ha": ha}

    def _post_nodes_qemu_status_shutdown(self, found: dict[str, str], _given: Obj) -> str:
        return self._switch(found, "stop" if self._managed(found) else "shutdown", self._shut_down)

    def _post_nodes_qemu_status_start(self, found: dict[str, str], _given: Obj) -> str:
        return self._switch(found, "start", self._start)

    def _managed(self, found: dict[str, str]) -> bool:
        return self._vm(found).hastate not in ("", "ignored")

    def _switch(self, found: dict[str, str], how: str, work: Work) -> str:
        if "VM.PowerMgmt" not in self.rights:
            raise Refused(403, f"Permission check failed (/vms/{found['vmid']}, VM.PowerMgmt)")
        vm, managed = self._vm(found), self._managed(found)
        late = vm.slow and how == "shutdown"
        if not managed and not late:
            return self._task(f"qm{how}", vm, work)

        def ask(_vm: Vm) -> None:
            if late:
                raise TimeoutError("VM quit/powerdown failed - got timeout")

        return self._task(f"{'ha' if managed else 'qm'}{how}", vm, ask, work)

    def _get_nodes_tasks_status(self, found: dict[str, str], _given: Obj) -> Obj:
        if found["upid"] not in self._tasks:
            raise Refused(400, "unable to parse worker upid")
        return self._tasks[found["upid"]]

    def _get_nodes_tasks_log(self, found: Obj, given: Obj) -> list[Obj]:
        said = self._get_nodes_tasks_status(found, given).get("exitstatus", "")
        return [{"n": 1, "t": f"TASK {said if said == 'OK' else 'ERROR: ' + said}"}]

    def _task(self, kind: str, vm: Vm, work: Work, then: Work | None = None) -> str:
        """Begin a task. ``then``: what comes of it when it has ended."""
        number = f"{len(self._tasks):08X}:00C0FFEE:65000000"
        upid = f"UPID:{NODE}:{number}:{kind}:{vm.vmid}:{self.user}:"
        self._tasks[upid] = {"upid": upid, "status": "running"}

        def run() -> None:
            try:
                work(vm)
                said = "OK"
            except Exception as error:
                said = str(error)
            self._tasks[upid] = {"upid": upid, "status": "stopped", "exitstatus": said}
            if then is not None:
                then(vm)

        threading.Thread(target=run, daemon=True).start()
        return upid

    def _shut_down(self, vm: Vm) -> None:
        self.wire.stop(vm)
        vm.status = "stopped"

    def _start(self, vm: Vm) -> None:
        with self._lock:
            vm.config.update(vm.pending)
            vm.pending.clear()
        for net in [key for key in vm.config if re.fullmatch(r"net\d+", key)]:
            self._check_bridge(read_line(vm.config[net]))
            self.wire.plug(vm, net, read_line(vm.config[net]))
        vm.status = "running"
        self.wire.start(vm)


def _match(method: str, path: str) -> tuple[str, dict[str, str]]:
    for known, route in _ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route)
        found = re.fullmatch(pattern, path)
        if known == method and found:
            return route, found.groupdict()
    raise Refused(501, f"Method '{method} /{path}' not implemented")
