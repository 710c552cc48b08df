# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy of the lab: real rules for the cluster's Services, in the mode of its configuration.

Runs on a node out of the bundle, started by the lab's kubelet for the node's pod::

    systemd-run python3 k8snet-actors.pyz kube-proxy --kubeconfig FILE --node NAME --pod NS/NAME

It follows Services and EndpointSlices, makes its rules again when somebody touches them, and leaves
all of it behind when it ends: so does the real one.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.actors import kube_proxy_iptables, kube_proxy_ipvs, kube_proxy_nftables
from tests.lab.actors.health import serve
from tests.lab.actors.kube_services import Port, read
from tests.lab.api.client import ApiStatus, Client

Obj = dict[str, Any]

NAME = "kube-proxy"
FOLDER = Path("/run/k8snet-lab")
STATE = FOLDER / "kube-proxy.json"
FAULTS = (ApiStatus, OSError, http.client.HTTPException)
REQUEST_SECONDS = 3
TICK = 1.0


def run(*command: str, text: str | None = None) -> str:
    """Return what a program prints. Raises OSError with its message when it fails."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def sysctl(name: str, value: int) -> None:
    Path("/proc/sys", name).write_text(str(value), encoding="ascii")


def local_addresses() -> list[str]:
    """The node's own IPv4 addresses; those of kube-ipvs0 are the cluster's."""
    links = json.loads(run("ip", "-j", "-4", "address", "show", "scope", "global"))
    return sorted(
        a["local"]
        for link in links
        if link["ifname"] != kube_proxy_ipvs.DEVICE
        for a in link["addr_info"]
    )


class Mode(ABC):
    """One of kube-proxy's proxiers."""

    def __init__(self, conf: Obj) -> None:
        self.conf = conf
        self.cidr = str(conf.get("clusterCIDR") or "")

    @abstractmethod
    def prepare(self) -> None:
        """What is set once, and stays."""

    @abstractmethod
    def apply(self, ports: Sequence[Port]) -> None:
        """Make the kernel's rules those of ``ports``."""

    @abstractmethod
    def snapshot(self) -> Obj:
        """What of it is in the kernel, without counters."""


class Iptables(Mode):
    """The iptables mode; the rules of the IPVS mode come the same way."""

    #: Of the chains of single Services, those that are no longer wanted are dropped.
    prefixes: tuple[str, ...] = tuple(f"KUBE-{k}-" for k in ("SVC", "SVL", "SEP", "FW", "EXT"))

    def prepare(self) -> None:
        run("modprobe", "nf_conntrack")
        sysctl("net/ipv4/conf/all/route_localnet", 1)
        sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", 86400)
        sysctl("net/netfilter/nf_conntrack_tcp_timeout_close_wait", 3600)

    def tables(self, ports: Sequence[Port], family: str) -> kube_proxy_iptables.Tables:
        return kube_proxy_iptables.tables(ports, self.cidr)

    def apply(self, ports: Sequence[Port]) -> None:
        for family in ("ip", "ip6"):
            wanted = self.tables(ports if family == "ip" else (), family)
            chains, rules = kube_proxy_iptables.parse(run(f"{family}tables-save"))
            names = {table: own for table, (own, _jumps, _rules) in wanted.items()}
            stale = {
                table: [c for c in found if c.startswith(self.prefixes) and c not in names[table]]
                for table, found in chains.items()
                if table in names
            }
            text = kube_proxy_iptables.restore(wanted, rules, stale)
            run(f"{family}tables-restore", "--noflush", "-w", "5", text=text)

    def snapshot(self) -> Obj:
        found = {}
        for family in ("ip", "ip6"):
            wanted = self.tables((), family)
            chains, rules = kube_proxy_iptables.parse(run(f"{family}tables-save"))
            for table, (own, jumps, _rules) in wanted.items():
                mine = [c for c in chains.get(table, ()) if c in own or c.startswith(self.prefixes)]
                lines = [
                    line
                    for line in rules.get(table, ())
                    if line in jumps or line.split()[1] in mine
                ]
                found[f"{family} {table}"] = [mine, lines]
        return found


class Ipvs(Iptables):
    """Virtual servers on a dummy interface, sets, and few rules."""

    prefixes = ()

    def prepare(self) -> None:
        run("modprobe", "-a", "nf_conntrack", "ip_vs", "ip_vs_rr", "ip_set", "dummy")
        sysctl("net/ipv4/vs/conntrack", 1)
        sysctl("net/ipv4/vs/expire_nodest_conn", 1)
        sysctl("net/ipv4/vs/expire_quiescent_template", 1)
        sysctl("net/ipv4/ip_forward", 1)
        if (self.conf.get("ipvs") or {}).get("strictARP"):
            sysctl("net/ipv4/conf/all/arp_ignore", 1)
            sysctl("net/ipv4/conf/all/arp_announce", 2)

    def tables(self, ports: Sequence[Port], family: str) -> kube_proxy_iptables.Tables:
        return kube_proxy_ipvs.tables(family, self.cidr if family == "ip" else "")

    def apply(self, ports: Sequence[Port]) -> None:
        local = local_addresses()
        for family in ("ip", "ip6"):
            text = kube_proxy_ipvs.sets(ports if family == "ip" else (), family)
            run("ipset", "restore", "-exist", text=text)
        super().apply(ports)
        have, own = self._servers(), set(self._addresses())
        wanted = kube_proxy_ipvs.servers(ports, local)
        self._device({port.address for port in ports}, own)
        text = kube_proxy_ipvs.commands(wanted, have, own | set(local))
        if text:
            run("ipvsadm", "-R", text=text)

    def snapshot(self) -> Obj:
        sets = [line for line in run("ipset", "save").splitlines() if "KUBE-" in line]
        return {
            **super().snapshot(),
            "servers": self._servers(),
            "addresses": self._addresses(),
            "sets": sorted(line for line in sets if line.startswith("add ")),
            "names": sorted(line.split()[1] for line in sets if line.startswith("create ")),
        }

    def _servers(self) -> dict[str, list[str]]:
        found = kube_proxy_ipvs.parse(run("ipvsadm", "-Sn"))
        return {server: sorted(real) for server, real in found.items()}

    def _addresses(self) -> list[str]:
        if not Path("/sys/class/net", kube_proxy_ipvs.DEVICE).exists():
            return []
        link = json.loads(run("ip", "-j", "-4", "address", "show", "dev", kube_proxy_ipvs.DEVICE))
        return sorted(a["local"] for one in link for a in one.get("addr_info", ()))

    def _device(self, wanted: set[str], have: set[str]) -> None:
        device = kube_proxy_ipvs.DEVICE
        if not Path("/sys/class/net", device).exists():
            run("ip", "link", "add", device, "type", "dummy")
            sysctl(f"net/ipv6/conf/{device}/disable_ipv6", 1)
        for address in sorted(wanted - have):
            run("ip", "address", "add", f"{address}/32", "dev", device)
        for address in sorted(have - wanted):
            run("ip", "address", "del", f"{address}/32", "dev", device)


class Nftables(Mode):
    """Two tables of its own."""

    def prepare(self) -> None:
        run("modprobe", "nf_tables")
        sysctl("net/ipv4/ip_forward", 1)

    def apply(self, ports: Sequence[Port]) -> None:
        text = kube_proxy_nftables.table(ports, "ip", self.cidr)
        run("nft", "-f", "-", text=text + kube_proxy_nftables.table((), "ip6"))

    def snapshot(self) -> Obj:
        found: Obj = {}
        tables = run("nft", "list", "tables").splitlines()
        for family in ("ip", "ip6"):
            name = f"table {family} {kube_proxy_nftables.TABLE}"
            found[family] = run("nft", "list", *name.split()) if name in tables else ""
        return found


_MODES: dict[str, type[Mode]] = {"iptables": Iptables, "ipvs": Ipvs, "nftables": Nftables}


class Proxy:
    """One life of the process."""

    def __init__(self, api: Client, pod: str) -> None:
        self.api = api
        self.pod = pod
        self.ended = threading.Event()
        self.mode_name = ""
        self.healthy_at = 0.0
        self._said = ""

    def say(self, text: str) -> None:
        if text != self._said:
            print(text, flush=True)
            self._said = text

    def state(self, *, ready: bool, why: str = "") -> None:
        new = STATE.with_suffix(".new")
        new.write_text(json.dumps({"pod": self.pod, "ready": ready, "why": why}), encoding="utf-8")
        new.replace(STATE)

    def configuration(self) -> Obj:
        """The ConfigMap that the pod mounts."""
        import yaml

        namespace = self.pod.partition("/")[0]
        while True:
            try:
                found = self.api.get(f"/api/v1/namespaces/{namespace}/configmaps/{NAME}")
                conf: Obj = yaml.safe_load(found["data"]["config.conf"])
                return conf
            except FAULTS as error:
                self.say(f"no configuration yet: {error}")
            if self.ended.wait(TICK):
                raise OSError("told to end before it had started")

    def healthz(self) -> tuple[int, str]:
        late = time.monotonic() - self.healthy_at > 60
        return (503 if late else 200), json.dumps({"lastUpdated": "", "nodeEligible": True})

    def run(self) -> None:
        """Serve until told to end. Raises OSError on what the kernel cannot do."""
        self.state(ready=False)
        conf = self.configuration()
        self.mode_name = conf.get("mode") or "iptables"
        if self.mode_name not in _MODES:
            raise OSError(f"unknown proxy mode {self.mode_name!r}")
        mode = _MODES[self.mode_name](conf)
        mode.prepare()
        serve("0.0.0.0", 10256, {"/healthz": self.healthz}, self.ended)
        pages = {"/proxyMode": lambda: (200, self.mode_name), "/healthz": self.healthz}
        serve("127.0.0.1", 10249, pages, self.ended)
        self.say(f"using the {self.mode_name} proxier")
        ports: list[Port] = []
        made: tuple[Any, Any] = (None, None)
        while not self.ended.is_set():
            try:
                ports = read(self.api)
            except FAULTS as error:
                self.say(f"served as known last: {error}")
            if made[0] is not None or ports:
                made = self.sync(mode, ports, made)
            self.ended.wait(TICK)

    def sync(self, mode: Mode, ports: list[Port], made: tuple[Any, Any]) -> tuple[Any, Any]:
        if made == (ports, mode.snapshot()):
            self.healthy_at = time.monotonic()
            return made
        try:
            mode.apply(ports)
        except OSError as error:
            self.say(f"will try again: {error}")
            self.state(ready=False, why=str(error))
            return made
        self.healthy_at = time.monotonic()
        self.say(f"made the rules of {len(ports)} ports")
        self.state(ready=True)
        return ports, mode.snapshot()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--pod", required=True, help="namespace/name")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    proxy = Proxy(Client(options.kubeconfig, NAME, REQUEST_SECONDS), options.pod)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: proxy.ended.set())
    try:
        proxy.run()
    except FAULTS as error:
        print(f"fatal: {error}", file=sys.stderr, flush=True)
        proxy.state(ready=False, why=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
