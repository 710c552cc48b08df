# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods on a node of the lab: a network namespace wired as Calico wires one, and DNS in it.

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

from tests.lab.actors import dns

NAMESPACE = "k8snet-pod"
DEVICE = "cali0k8snetpod"
DNS_UNIT = "k8snet-pod-dns"
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


def up(cidr: str, *, with_dns: bool) -> None:
    """Make the pod's namespace and veth, and start DNS in it when asked. Idempotent."""
    address = pod_address(cidr)
    _sysctl("net/ipv4/ip_forward", "1")
    if not _exists():
        inside = ("ip", "-n", NAMESPACE)
        _run("ip", "netns", "add", NAMESPACE)
        _run(
            "ip", "link", "add", DEVICE, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE
        )
        _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "addr", "add", f"{address}/32", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        _run("ip", "link", "set", DEVICE, "up")
        _run(*inside, "route", "add", GATEWAY, "dev", "eth0", "scope", "link")
        _run(*inside, "route", "add", "default", "via", GATEWAY, "dev", "eth0")
    _sysctl(f"net/ipv4/conf/{DEVICE}/proxy_arp", "1")
    _sysctl(f"net/ipv4/neigh/{DEVICE}/proxy_delay", "0")
    _run("ip", "route", "replace", f"{address}/32", "dev", DEVICE, "scope", "link")
    if with_dns and not _dns_runs():
        program = str(Path(sys.argv[0]).resolve())
        unit = ("systemd-run", "--quiet", "--collect", f"--unit={DNS_UNIT}")
        enter = ("ip", "netns", "exec", NAMESPACE)
        _run(*unit, *enter, sys.executable, program, "pods", "dns-serve", "--address", address)


def _dns_runs() -> bool:
    command = ("systemctl", "is-active", "--quiet", f"{DNS_UNIT}.service")
    return subprocess.run(command, check=False).returncode == 0


def down() -> None:
    """Take the pod away."""
    if _dns_runs():
        _run("systemctl", "stop", f"{DNS_UNIT}.service")
    if _exists():
        _run("ip", "netns", "del", NAMESPACE)  # its veth goes with it, and with that the route


def _serve(address: str) -> int:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    dns.serve(address, dns.PORT, ended)
    return 0


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pods", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("up", help="make this node's pod")
    make.add_argument("--pod-cidr", required=True)
    make.add_argument("--dns", action="store_true", help="answer DNS in it")
    commands.add_parser("down", help="take it away")
    serve = commands.add_parser("dns-serve", help="answer DNS (run inside the pod)")
    serve.add_argument("--address", required=True)
    probe = commands.add_parser("dns-probe", help="ask DNS from the pod; exit 1 without an answer")
    probe.add_argument("--server", required=True, help="address of the DNS pod")
    probe.add_argument("--tcp", action="store_true")
    probe.add_argument("--timeout", type=float, default=2)
    probe.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.command == "up":
        up(options.pod_cidr, with_dns=options.dns)
    elif options.command == "down":
        down()
    elif options.command == "dns-serve":
        return _serve(options.address)
    else:
        ask = _ask if options.inside else _probe
        return ask(options.server, tcp=options.tcp, timeout=options.timeout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
