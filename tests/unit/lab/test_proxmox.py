# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The double of Proxmox's API: as strict as the real one where the role depends on that."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.proxmox import Proxmox, Vm, Wire
from tests.lab.proxmox_lines import print_line, read_line, vlans_of

MAC = "BC:24:11:00:00:01"
LINE = f"virtio={MAC},bridge=vmbr0,tag=216"
CONFIG = "nodes/pve1/qemu/101/config"


class Recorder(Wire):
    def __init__(self) -> None:
        self.plugged: list[tuple[int, str, list[int]]] = []
        self.unplugged: list[str] = []

    def plug(self, vm: Vm, net: str, options: dict[str, str]) -> None:
        self.plugged.append((vm.vmid, net, vlans_of(options)))

    def unplug(self, vm: Vm, net: str) -> None:
        self.unplugged.append(net)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Proxmox]:
    found = Proxmox(tmp_path, [Vm(101, "one", {"net0": LINE})], Recorder()).start()
    yield found
    found.stop()


def ask(api: Proxmox, method: str, path: str, token: str = "", **given: str) -> Any:
    """Return the data, or (code, reason, errors) of a refusal."""
    text = urllib.parse.urlencode(given)
    url = f"https://127.0.0.1:{api.port}/api2/json/{path}"
    body = text.encode() if method != "GET" else None
    whole = f"{url}?{text}" if body is None and text else url
    request = urllib.request.Request(whole, body, method=method)
    good = f"PVEAPIToken={api.user}!{api.token_id}={api.secret}"
    request.add_header("Authorization", token or good)
    context = ssl.create_default_context(cafile=str(api.ca))
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            found = json.load(answer)
            return found if "changes" in found else found["data"]
    except urllib.error.HTTPError as error:
        return error.code, error.reason, json.load(error).get("errors")


def test_without_its_token_nobody_is_told_anything(api: Proxmox) -> None:
    wrong = f"PVEAPIToken={api.user}!{api.token_id}=guess"
    assert ask(api, "GET", "version", wrong)[0] == 401
    assert ask(api, "GET", "version")["release"] == "8.4"


def test_a_line_is_sorted_and_reaches_the_wire(api: Proxmox) -> None:
    line = f"tag=216,trunks=2-4;181,bridge=vmbr0,virtio={MAC}"
    assert ask(api, "PUT", CONFIG, net0=line) is None
    stored = ask(api, "GET", CONFIG, current="1")["net0"]
    assert stored == f"virtio={MAC},bridge=vmbr0,tag=216,trunks=2-4;181"
    assert isinstance(api.wire, Recorder)
    assert api.wire.plugged == [(101, "net0", [2, 3, 4, 181])]


@pytest.mark.parametrize(
    "line",
    [
        f"virtio={MAC},bridge=vmbr0,colour=red",
        f"virtio={MAC},tag=4095",
        f"virtio={MAC},trunks=1;",
        "virtio=01:00:00:00:00:00",
        "bridge=vmbr0",
        f"virtio={MAC},tag=1,tag=2",
    ],
)
def test_a_line_that_the_schema_refuses_is_not_written(api: Proxmox, line: str) -> None:
    code, _reason, errors = ask(api, "PUT", CONFIG, net0=line)
    assert (code, list(errors)) == (400, ["net"])
    assert api.vms[101].config["net0"] == LINE


def test_what_else_is_refused(api: Proxmox) -> None:
    code, _reason, errors = ask(api, "PUT", CONFIG, colour="red")
    assert (code, list(errors)) == (400, ["colour"])
    assert "checksum mismatch" in ask(api, "PUT", CONFIG, net0=LINE, digest="0")[1]
    assert ask(api, "POST", CONFIG, net0=LINE)[0] == 501
    api.vms[101].config["lock"] = "backup"
    assert ask(api, "PUT", CONFIG, net0=LINE)[1] == "VM is locked (backup)"
    api.vms[101].config.pop("lock")
    api.rights.discard("VM.Config.Network")
    assert ask(api, "PUT", CONFIG, net0=LINE)[0] == 403


def test_a_digest_that_is_right_is_taken(api: Proxmox) -> None:
    digest = ask(api, "GET", CONFIG)["digest"]
    assert ask(api, "PUT", CONFIG, net0=f"{LINE},trunks=181", digest=digest) is None
    assert ask(api, "GET", CONFIG)["digest"] != digest


def test_a_held_change_waits_for_the_power_cycle(api: Proxmox) -> None:
    api.vms[101].held = True
    ask(api, "PUT", CONFIG, net0=f"{LINE},trunks=181")
    waiting = {"key": "net0", "value": LINE, "pending": f"{LINE},trunks=181"}
    assert ask(api, "GET", "nodes/pve1/qemu/101/pending") == [waiting]
    assert ask(api, "GET", CONFIG, current="1")["net0"] == LINE
    assert ask(api, "GET", CONFIG, current="0")["net0"] == f"{LINE},trunks=181"
    for way in ("shutdown", "start"):
        assert ended(api, way) == "OK"
    assert isinstance(api.wire, Recorder)
    assert api.wire.plugged == [(101, "net0", [181])]
    assert ask(api, "GET", "nodes/pve1/qemu/101/pending")[0]["value"] == f"{LINE},trunks=181"


def ended(api: Proxmox, way: str) -> str:
    """Ask for a switch, and return what its task says when it has ended."""
    upid = ask(api, "POST", f"nodes/pve1/qemu/101/status/{way}")
    done = {"status": "running"}
    while done["status"] == "running":
        done = ask(api, "GET", f"nodes/pve1/tasks/{upid}/status")
    log = ask(api, "GET", f"nodes/pve1/tasks/{upid}/log")
    assert str(done["exitstatus"]) in log[0]["t"]
    return str(done["exitstatus"])


def status(api: Proxmox) -> str:
    return str(ask(api, "GET", "nodes/pve1/qemu/101/status/current")["status"])


def test_a_bridge_that_does_not_take_the_line_has_the_nic_no_more(api: Proxmox) -> None:
    api.bridges[0].pop("bridge_vlan_aware")
    line = f"{LINE},trunks=181"
    code, _reason, errors = ask(api, "PUT", CONFIG, net0=line)
    assert (code, "vlan aware" in errors["net0"]) == (400, True)
    assert isinstance(api.wire, Recorder)
    assert (api.wire.unplugged, api.vms[101].pending) == (["net0"], {"net0": line})
    # The former line is what the VM has already, so that nothing is plugged again.
    assert ask(api, "PUT", CONFIG, net0=LINE) is None
    assert (api.wire.plugged, api.vms[101].pending) == ([], {})
    # Nor does a VM with such a line start.
    ended(api, "shutdown")
    assert ask(api, "PUT", CONFIG, net0=line) is None
    assert "vlan aware" in ended(api, "start")
    assert status(api) == "stopped"


def test_what_is_not_applied_yet_is_what_is_shown(api: Proxmox) -> None:
    network = "nodes/pve1/network"
    assert ask(api, "GET", network)[0]["bridge_vlan_aware"] == 1
    api.edited = [{"iface": "vmbr0", "type": "bridge"}]
    shown = ask(api, "GET", network)
    assert (shown["data"], "interfaces.new" in shown["changes"]) == (api.edited, True)


def test_where_ha_switches_the_task_only_asks(api: Proxmox) -> None:
    vm = api.vms[101]
    vm.hastate = "started"
    stops = threading.Event()
    api.wire.stop = lambda _vm: stops.wait() and None  # type: ignore[method-assign]
    assert ask(api, "GET", "cluster/resources")[0]["hastate"] == "started"
    assert ended(api, "shutdown") == "OK"
    assert status(api) == "running"
    stops.set()
    while status(api) == "running":
        pass


def test_a_slow_guest_is_off_after_its_task_has_failed(api: Proxmox) -> None:
    api.vms[101].slow = True
    assert "got timeout" in ended(api, "shutdown")
    while status(api) == "running":
        pass


def test_what_the_token_may(api: Proxmox) -> None:
    found = ask(api, "GET", "access/permissions?path=/vms/101")
    assert found["/vms/101"]["VM.PowerMgmt"] == 1
    api.rights -= {"VM.PowerMgmt", "SDN.Use"}
    assert ask(api, "POST", "nodes/pve1/qemu/101/status/start")[0] == 403
    assert [each["iface"] for each in ask(api, "GET", "nodes/pve1/network")] == ["eno1"]


def test_lines_in_all_forms() -> None:
    for text in (LINE, f"model=virtio,macaddr={MAC},bridge=vmbr0,tag=216", f"{LINE},"):
        assert print_line(read_line(text)) == LINE
