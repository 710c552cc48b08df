# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods on a node of the lab: a network namespace wired as Calico wires one, DNS and web in it.

Runs on a node, as root (Python 3.9, standard library, ``ip``). Each node has one pod, the tenth
address of its pod network; on the node of CoreDNS that pod answers DNS. Nothing else routes between
nodes: when the routes to that node's pods go, its DNS is gone for the others.
"""

from __future__ import annotations

import argparse
import ipaddress
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.lab.actors import dns, web

NAMESPACE = "k8snet-pod"
DEVICE = "cali0k8snetpod"
DNS_UNIT, WEB_UNIT = "k8snet-pod-dns", "k8snet-pod-web"
GATEWAY = "169.254.1.1"  # no such host: the veth's proxy ARP answers for it, as with Calico


def pod_address(cidr: str) -> str:
    """Return the address of a node's pod: the tenth of its pod network."""
    return str(ipaddress.ip_network(cidr)[10])


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")


def _exists() -> bool:
    return Path("/run/netns", NAMESPACE).exists()


def _sysctl(path: str, value: str) -> None:
    Path("/proc/sys", path).write_text(value, encoding="ascii")


def up(cidr: str, *, with_dns: bool, web_name: str = "", device: str = DEVICE) -> None:
    """Make the pod's namespace and veth, and start what shall answer in it. Idempotent."""
    address = pod_address(cidr)
    _sysctl("net/ipv4/ip_forward", "1")
    if not _exists():
        inside = ("ip", "-n", NAMESPACE)
        _run("ip", "netns", "add", NAMESPACE)
        _run(
            "ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE
        )
        _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "addr", "add", f"{address}/32", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        _run("ip", "link", "set", device, "up")
        _run(*inside, "route", "add", GATEWAY, "dev", "eth0", "scope", "link")
        _run(*inside, "route", "add", "default", "via", GATEWAY, "dev", "eth0")
    _sysctl(f"net/ipv4/conf/{device}/proxy_arp", "1")
    _sysctl(f"net/ipv4/neigh/{device}/proxy_delay", "0")
    _run("ip", "route", "replace", f"{address}/32", "dev", device, "scope", "link")
    if with_dns:
        _serve_in_it(DNS_UNIT, "dns-serve", "--address", address)
    if web_name:
        _serve_in_it(WEB_UNIT, "web-serve", "--address", address, "--name", web_name)


def _serve_in_it(unit: str, *words: str) -> None:
    if not _runs(unit):
        program = str(Path(sys.argv[0]).resolve())
        start = ("systemd-run", "--quiet", "--collect", f"--unit={unit}")
        enter = ("ip", "netns", "exec", NAMESPACE)
        _run(*start, *enter, sys.executable, program, "pods", *words)


def _runs(unit: str) -> bool:
    command = ("systemctl", "is-active", "--quiet", f"{unit}.service")
    return subprocess.run(command, check=False).returncode == 0


def down() -> None:
    """Take the pod away."""
    for unit in (DNS_UNIT, WEB_UNIT):
        if _runs(unit):
            _run("systemctl", "stop", f"{unit}.service")
    if _exists():
        _run("ip", "netns", "del", NAMESPACE)  # its veth goes with it, and with that the route


def _until_told() -> threading.Event:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _probe(server: str, *, tcp: bool, timeout: float) -> int:
    """Ask DNS from inside the pod: 0 when it answers, 1 when it does not."""
    program = str(Path(sys.argv[0]).resolve())
    flags = ["--inside", "--timeout", str(timeout), *(["--tcp"] if tcp else [])]
    command = ["ip", "netns", "exec", NAMESPACE, sys.executable, program, "pods", "dns-probe"]
    return subprocess.run([*command, "--server", server, *flags], check=False).returncode


def _ask(server: str, *, tcp: bool, timeout: float) -> int:
    answer = dns.ask(server, dns.PORT, tcp=tcp, timeout=timeout)
    how = "TCP" if tcp else "UDP"
    print(f"{server}: {dns.NAME} is {answer}" if answer else f"{server}: no answer over {how}")
    return 0 if answer else 1


def _ask_web(server: str, timeout: float, *, from_pod: bool) -> int:
    if from_pod:
        program = str(Path(sys.argv[0]).resolve())
        command = ["ip", "netns", "exec", NAMESPACE, sys.executable, program, "pods", "web-ask"]
        command += ["--server", server, "--timeout", str(timeout)]
        return subprocess.run(command, check=False).returncode
    address, _colon, port = server.rpartition(":")
    name = web.ask(address, int(port), timeout)
    print(name or f"{server}: no answer")
    return 0 if name else 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pods", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("up", help="make this node's pod")
    make.add_argument("--pod-cidr", required=True)
    make.add_argument("--dns", action="store_true", help="answer DNS in it")
    make.add_argument("--web", default="", help="answer on TCP port 8080 with this name")
    make.add_argument("--device", default=DEVICE, help="the node's end of its veth")
    commands.add_parser("down", help="take it away")
    page = commands.add_parser("web-serve", help="answer with a name (run inside the pod)")
    page.add_argument("--address", required=True)
    page.add_argument("--name", required=True)
    question = commands.add_parser("web-ask", help="print who answers; exit 1 without")
    question.add_argument("--server", required=True, help="ADDRESS:PORT")
    question.add_argument("--from-pod", action="store_true", help="ask from inside the pod")
    question.add_argument("--timeout", type=float, default=2)
    serve = commands.add_parser("dns-serve", help="answer DNS (run inside the pod)")
    serve.add_argument("--address", required=True)
    probe = commands.add_parser("dns-probe", help="ask DNS from the pod; exit 1 without an answer")
    probe.add_argument("--server", required=True, help="address of the DNS pod")
    probe.add_argument("--tcp", action="store_true")
    probe.add_argument("--timeout", type=float, default=2)
    probe.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.command == "up":
        up(
            options.pod_cidr,
            with_dns=options.dns,
            web_name=options.web,
            device=options.device,
        )
    elif options.command == "down":
        down()
    elif options.command == "dns-serve":
        dns.serve(options.address, dns.PORT, _until_told())
    elif options.command == "web-serve":
        web.serve(options.address, web.PORT, options.name, _until_told())
    elif options.command == "web-ask":
        return _ask_web(options.server, options.timeout, from_pod=options.from_pod)
    else:
        ask = _ask if options.inside else _probe
        return ask(options.server, tcp=options.tcp, timeout=options.timeout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
