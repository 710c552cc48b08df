# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The double of Proxmox's API: as strict as the real one where the role depends on that."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.proxmox import Proxmox, Vm, Wire, print_line, read_line, vlans_of

MAC = "BC:24:11:00:00:01"
LINE = f"virtio={MAC},bridge=vmbr0,tag=216"
CONFIG = "nodes/pve1/qemu/101/config"


class Recorder(Wire):
    def __init__(self) -> None:
        self.plugged: list[tuple[int, str, list[int]]] = []

    def plug(self, vm: Vm, net: str, options: dict[str, str]) -> None:
        self.plugged.append((vm.vmid, net, vlans_of(options)))


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
    request = urllib.request.Request(f"{url}?{text}" if body is None else url, body, method=method)
    good = f"PVEAPIToken={api.user}!{api.token_id}={api.secret}"
    request.add_header("Authorization", token or good)
    context = ssl.create_default_context(cafile=str(api.ca))
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return json.load(answer)["data"]
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
    api.bridges[0].pop("bridge_vlan_aware")
    assert "vlan aware" in ask(api, "PUT", CONFIG, net0=f"{LINE},trunks=181")[1]


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
        upid = ask(api, "POST", f"nodes/pve1/qemu/101/status/{way}")
        done = {"status": "running"}
        while done["status"] == "running":
            done = ask(api, "GET", f"nodes/pve1/tasks/{upid}/status")
        assert done["exitstatus"] == "OK"
    assert isinstance(api.wire, Recorder)
    assert api.wire.plugged == [(101, "net0", [181])]
    assert ask(api, "GET", "nodes/pve1/qemu/101/pending")[0]["value"] == f"{LINE},trunks=181"


def test_lines_in_all_forms() -> None:
    for text in (LINE, f"model=virtio,macaddr={MAC},bridge=vmbr0,tag=216", f"{LINE},"):
        assert print_line(read_line(text)) == LINE
