# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server and Services: they answer, refuse, say nothing, or have a strange certificate."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _probe as words
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _service_probe as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _probe_dns, _service_probe
from ansible_collections.k8snet.cni.plugins.modules import service_probe

LIMITS = _probe_dns.Limits(timeout=0.5, attempts=1)
HERE = words.address("127.0.0.1")


class _Api(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, which is its own authority, and one of a stranger."""
    made = tmp_path_factory.mktemp("pki")
    for name in ("ours", "theirs"):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
        openssl(made, "req", "-x509", *key, *names, *files)
    return made


@contextlib.contextmanager
def api(folder: Path, status: int = 200) -> Iterator[int]:
    handler = type("Handler", (_Api,), {"status": status})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ours.crt", folder / "ours.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://10.0.0.1:6443", "does not begin with https://"),
        ("https://10.0.0.1:6443/", "not even a slash"),
        ("https://10.0.0.1:6443/api", "something behind the port"),
        ("https://10.0.0.1:6443?x", "something behind the port"),
        ("https://10.0.0.1", "names no port"),
        ("https://10.0.0.1:0", "names no port"),
        ("https://10.0.0.1:x", "is no URL"),
        ("https://:6443", "not of the form"),
        ("https://me@10.0.0.1:6443", "not of the form"),
    ],
)
def test_what_is_no_url_of_an_api_server(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        domain.api_server(url)


def test_urls_of_api_servers() -> None:
    assert domain.api_server("https://api.example.org:443") == ("api.example.org", 443)
    assert domain.api_server("https://[2001:db8::1]:6443") == ("2001:db8::1", 6443)


@pytest.mark.parametrize(("status", "ok"), [(200, True), (401, True), (403, True), (500, False)])
def test_readyz(folder: Path, status: int, ok: bool) -> None:
    with api(folder, status) as port:
        found = _service_probe.readyz(
            f"https://127.0.0.1:{port}", (folder / "ours.crt").read_text(), 2
        )
    assert (found["ok"], found["status"]) == (ok, status), found
    assert found["addresses"] == found["local"] == ["127.0.0.1"]


def test_another_authority_is_told_from_another_name(folder: Path) -> None:
    with api(folder) as port:
        url = f"https://127.0.0.1:{port}"
        stranger = _service_probe.readyz(url, (folder / "theirs.crt").read_text(), 2)
        named = _service_probe.readyz(
            f"https://127.0.0.2:{port}", (folder / "ours.crt").read_text(), 2
        )
        by_name = _service_probe.readyz(
            f"https://localhost:{port}", (folder / "ours.crt").read_text(), 2
        )
    assert not stranger["ok"]
    assert "signed by the cluster's authority" in stranger["error"]
    assert "self-signed" in stranger["error"].replace("self signed", "self-signed")
    assert not named["ok"]  # the server listens on 127.0.0.1 only
    assert not by_name["ok"]
    assert "mismatch" in by_name["error"]


def test_nobody_there_and_no_pem(folder: Path) -> None:
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{link.getsockname()[1]}"
        found = _service_probe.readyz(url, (folder / "ours.crt").read_text(), 1)
        assert not found["ok"]
        assert "refused" in found["error"]
        assert not _service_probe.readyz(url, "not pem", 1)["ok"]


def test_a_refused_connection_says_that_nobody_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        targets = [
            _service_probe.Target("open", HERE, server.getsockname()[1]),
            _service_probe.Target("closed", HERE, closed.getsockname()[1]),
        ]
        found = _service_probe.from_host(targets, LIMITS)
    assert [(entry["name"], entry["ok"]) for entry in found] == [("open", True), ("closed", False)]
    assert "refused" in found[1]["error"]
    assert found[0]["netns"] == "host"


def answer_dns(server: socket.socket, spoil: bool) -> None:
    link, _peer = server.accept()
    with link:
        size = int.from_bytes(link.recv(2), "big")
        question = link.recv(size)
        reply = bytearray(question)
        reply[2] |= 0x80
        if spoil:
            reply[0] ^= 0xFF
        # In two parts, as a stream may come.
        link.sendall(len(reply).to_bytes(2, "big") + bytes(reply[:5]))
        link.sendall(bytes(reply[5:]))


@pytest.mark.parametrize("spoil", [False, True])
def test_dns_over_tcp(spoil: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_dns, args=(server, spoil), daemon=True).start()
        target = _service_probe.Target(
            "DNS over TCP", HERE, server.getsockname()[1], "kubernetes.default.svc.cluster.local"
        )
        found = _service_probe.from_host([target], LIMITS)
    assert found[0]["ok"] is not spoil
    if spoil:
        assert "no answer to the question" in found[0]["error"]


def test_a_listener_that_says_nothing_is_no_dns_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = _service_probe.Target("DNS", HERE, server.getsockname()[1], "a.b")
        found = _service_probe.from_host([target], LIMITS)
    assert found[0]["error"] == "no answer within 0.5 s"


def test_modes() -> None:
    assert domain.mode_of("IPVS\n") == "ipvs"
    assert domain.mode_of("<html>") is None


def test_problems_leave_out_what_could_not_be_tried() -> None:
    entry = {"name": "default/web", "pod": True, "ok": None, "error": "no pod"}
    bad = {"name": "DNS over TCP", "pod": False, "ok": False, "error": "Connection refused"}
    api_found = {"url": "https://a:1", "ok": False, "error": "no answer"}
    found = domain.problems({"api": api_found, "connections": [entry], "dns": [bad]})
    assert found == ["https://a:1: no answer", "DNS over TCP from the node: Connection refused"]


INET = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0101A00A	0003	0	0	100	00000000	0	0	0
eth1	00000000	0101A00A	0003	0	0	200	00000000	0	0	0
antrea-gw0	0000600A	FD00FEA9	0007	0	0	0	0000F0FF	0	0	0
*	0000640A	00000000	0200	0	0	0	0000FFFF	0	0	0
"""
_NONE = "0" * 32 + " 00"
INET6 = "\n".join(
    f"{network} {_NONE} {'0' * 32} {metric} 00000001 00000000 {flags} {name}"
    for network, metric, flags, name in (
        ("fd0000100096000000000000000000" + "00 70", "00000400", "00000003", "antrea-gw0"),
        ("fd0000100096000000000000000000" + "01 80", "00000000", "80200001", "kube-ipvs0"),
        ("0" * 32 + " 00", "00000400", "00000003", "eth0"),
    )
)


@pytest.mark.skipif(sys.byteorder != "little", reason="the sample is of such a machine")
@pytest.mark.parametrize(
    ("address", "interface"),
    [
        ("10.96.0.1", "antrea-gw0"),
        ("10.112.0.1", "eth0"),
        ("10.100.3.1", "antrea-gw0"),
        ("fd00:10:96::1", "antrea-gw0"),
        ("2001:db8::1", "eth0"),
    ],
)
def test_the_main_table_leads_somewhere_whatever_ipvs_has_made_of_an_address(
    address: str, interface: str
) -> None:
    assert domain.way(domain.main_routes(INET, INET6), address) == interface


def test_without_a_route_there_is_no_way() -> None:
    routes = domain.main_routes("Iface\n", "")
    assert (routes, domain.way(routes, "10.96.0.1")) == ([], None)


def test_the_routes_of_this_machine_can_be_read() -> None:
    said = subprocess.run(
        ["ip", "-4", "-j", "route", "show", "table", "main"],
        check=True,
        capture_output=True,
        text=True,
    )
    named = {route["dev"] for route in json.loads(said.stdout) if "dev" in route}
    assert named <= {route.interface for route in _service_probe.main_routes()}


def test_the_module_tells_the_main_route() -> None:
    params = {"connections": [], "dns": [], "pod_networks": [], "pod_limit": 1, "api": None}
    asked = {**params, "timeout": 0.2, "attempts": 1, "main_routes": ["192.0.2.7"]}
    found = service_probe.probe(asked)["main_routes"]
    assert found == {"192.0.2.7": domain.way(_service_probe.main_routes(), "192.0.2.7")}
    with pytest.raises(ValueError, match="main_routes"):
        service_probe.probe({**asked, "main_routes": ["here"]})
