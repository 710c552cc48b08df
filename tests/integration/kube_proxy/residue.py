# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as kube-proxy leaves them in each of its modes, and its neighbours' rules beside them.

Every function returns text for a tool's standard input. Read from Kubernetes 1.36
(pkg/proxy/iptables, pkg/proxy/ipvs, pkg/proxy/nftables) and from the neighbours' own sources.
"""

from __future__ import annotations

_MARK = "KUBE-MARK-MASQ"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_V6 = {"ip": ("10.96", "10.244", "."), "ip6": ("fd00:96:", "fd00:244:", ":")}


def label(number):
    """Sixteen characters of base32, as the hash in a chain's name."""
    found = ""
    for _unused in range(16):
        number, rest = divmod(number, 32)
        found += _BASE32[rest]
    return found


def address(family, network, number):
    """The address with that number in the Services' (0) or pods' (1) network."""
    parts = _V6[family]
    high, low = divmod(number + 1, 250)
    if family == "ip":
        return f"{parts[network]}.{high}.{low + 1}"
    return f"{parts[network]}:{high:x}:{low + 1:x}"


def iptables(family="ip", services=3, endpoints=2):
    """kube-proxy's iptables mode: nat, filter and mangle for iptables-restore."""
    width = 32 if family == "ip" else 128
    local = "127.0.0.0/8" if family == "ip" else "::1/128"
    chains = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]
    chains.append("KUBE-PROXY-CANARY")
    rules = [
        _jump("PREROUTING", "kubernetes service portals", "KUBE-SERVICES"),
        _jump("OUTPUT", "kubernetes service portals", "KUBE-SERVICES"),
        _jump("POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        "-A KUBE-POSTROUTING -m comment --comment "
        '"kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ]
    for number in range(services):
        svc, ext = f"KUBE-SVC-{label(number)}", f"KUBE-EXT-{label(number)}"
        chains += [svc, ext]
        text = f'-m comment --comment "default/web-{number}:http'
        vip = address(family, 0, number)
        rules += [
            f'-A KUBE-SERVICES -d {vip}/{width} -p tcp {text} cluster IP" '
            f"-m tcp --dport 80 -j {svc}",
            f'-A KUBE-NODEPORTS ! -d {local} -p tcp {text}" '
            f"-m tcp --dport {30000 + number % 2768} -j {ext}",
            f'-A {ext} {text} masquerade traffic for external destinations" -j KUBE-MARK-MASQ',
            f"-A {ext} -j {svc}",
        ]
        for each in range(endpoints):
            sep = f"KUBE-SEP-{label(number * endpoints + each)}"
            pod = address(family, 1, number * endpoints + each)
            target = f"{pod}:8080" if family == "ip" else f"[{pod}]:8080"
            chains.append(sep)
            pick = ""
            if each < endpoints - 1:
                pick = f"-m statistic --mode random --probability {1 / (endpoints - each):.10f} "
            rules += [
                f'-A {svc} {text} -> {target}" {pick}-j {sep}',
                f'-A {sep} -s {pod}/{width} {text}" -j KUBE-MARK-MASQ',
                f'-A {sep} -p tcp {text}" -m tcp -j DNAT --to-destination {target}',
            ]
    local_ports = (
        '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be '
        'the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    )
    rules.append(local_ports)
    return _table("nat", chains, rules) + _filter() + _table("mangle", ["KUBE-PROXY-CANARY"], [])


def _filter():
    chains = ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS"]
    chains += ["KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY"]
    new = "-m conntrack --ctstate NEW "
    firewall = "kubernetes load balancer firewall"
    external = "kubernetes externally-visible service portals"
    return _table(
        "filter",
        chains,
        [
            _jump("INPUT", firewall, "KUBE-PROXY-FIREWALL", new),
            _jump("INPUT", "kubernetes health check service ports", "KUBE-NODEPORTS"),
            _jump("INPUT", external, "KUBE-EXTERNAL-SERVICES", new),
            _jump("FORWARD", firewall, "KUBE-PROXY-FIREWALL", new),
            _jump("FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
            _jump("FORWARD", "kubernetes service portals", "KUBE-SERVICES", new),
            _jump("FORWARD", external, "KUBE-EXTERNAL-SERVICES", new),
            _jump("OUTPUT", firewall, "KUBE-PROXY-FIREWALL", new),
            _jump("OUTPUT", "kubernetes service portals", "KUBE-SERVICES", new),
            "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
            '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" '
            "-m mark --mark 0x4000/0x4000 -j ACCEPT",
        ],
    )


def ipvs(family="ip"):
    """kube-proxy's IPVS mode: its rules for iptables-restore. Its sets have to be there."""
    six = "6-" if family == "ip6" else ""
    nat = _table(
        "nat",
        [
            "KUBE-SERVICES",
            "KUBE-POSTROUTING",
            "KUBE-NODE-PORT",
            "KUBE-LOAD-BALANCER",
            "KUBE-MARK-MASQ",
        ],
        [
            _jump("PREROUTING", "kubernetes service portals", "KUBE-SERVICES"),
            _jump("OUTPUT", "kubernetes service portals", "KUBE-SERVICES"),
            _jump("POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
            "-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ",
            "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
            '-A KUBE-NODE-PORT -p tcp -m comment --comment "Kubernetes nodeport TCP port for '
            f'masquerade purpose" -m set --match-set KUBE-{six}NODE-PORT-TCP dst -j KUBE-MARK-MASQ',
            "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
            f"-A KUBE-SERVICES -m set --match-set KUBE-{six}CLUSTER-IP dst,dst -j ACCEPT",
        ],
    )
    chains = ["KUBE-FORWARD", "KUBE-NODE-PORT", "KUBE-PROXY-FIREWALL", "KUBE-IPVS-FILTER"]
    chains += ["KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-OUT-FILTER"]
    return nat + _table(
        "filter",
        chains,
        [
            _jump("INPUT", "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
            _jump("INPUT", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
            _jump("INPUT", "kubernetes health check rules", "KUBE-NODE-PORT"),
            _jump("FORWARD", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
            _jump("FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
            _jump("OUTPUT", "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
            "-A KUBE-SOURCE-RANGES-FIREWALL -j DROP",
        ],
    )


def ipsets():
    """The sets of IPVS mode, both families, for ipset restore."""
    return """create KUBE-CLUSTER-IP hash:ip,port family inet
add KUBE-CLUSTER-IP 10.96.0.2,tcp:80
add KUBE-CLUSTER-IP 10.96.0.3,tcp:80
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 30080
create KUBE-NODE-PORT-SCTP-HASH hash:ip,port family inet
create KUBE-6-CLUSTER-IP hash:ip,port family inet6
add KUBE-6-CLUSTER-IP fd00:96::2,tcp:80
create KUBE-6-NODE-PORT-TCP bitmap:port range 0-65535
create KUBE-6-LOAD-BALANCER-SOURCE-CID hash:ip,port,net family inet6
"""


def nftables():
    """kube-proxy's nftables mode, and Antrea's table beside it, for nft -f."""
    return """table ip kube-proxy {
 chain services { counter; }
 chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
}
table ip6 kube-proxy {
 chain services { counter; }
}
table ip antrea {
 chain x { counter; }
}
"""


def neighbours(family="ip"):
    """kubelet, CRI-O, kube-router, Docker, Calico, Antrea, portmap without a blocker, a decoy."""
    local = "127.0.0.0/8" if family == "ip" else "::1/128"
    was = '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "was KUBE-SERVICES" -j ACCEPT'
    nat = [
        *("KUBE-KUBELET-CANARY", "KUBE-MARK-DROP", "KUBE-HOSTPORTS", f"KUBE-HP-{'Z' * 16}"),
        *("ANTREA-PREROUTING", "DOCKER", "CNI-HOSTPORT-DNAT", "CNI-DN-abc", "cali-PREROUTING"),
    ]
    nat_rules = [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j KUBE-HOSTPORTS",
        '-A PREROUTING -m comment --comment "Antrea: jump to Antrea" -j ANTREA-PREROUTING',
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A CNI-HOSTPORT-DNAT -p tcp -m tcp --dport 8080 -j CNI-DN-abc",
        "-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000",
    ]
    filters = [
        *("KUBE-KUBELET-CANARY", "KUBE-FIREWALL", "KUBE-ROUTER-INPUT", "KUBE-NWPLCY-DEFAULT"),
        *("KUBE-SERVICES-CUSTOM", "cali-INPUT"),
    ]
    filter_rules = [
        "-A INPUT -j KUBE-FIREWALL",
        "-A INPUT -j KUBE-ROUTER-INPUT",
        "-A INPUT -j cali-INPUT",
        was,
        f"-A KUBE-FIREWALL ! -s {local} -d {local} -j DROP",
        "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP",
    ]
    mangle = _table("mangle", ["KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"], [])
    return _table("nat", nat, nat_rules) + _table("filter", filters, filter_rules) + mangle


def _jump(chain, comment, target, match=""):
    return f'-A {chain} {match}-m comment --comment "{comment}" -j {target}'


def _table(name, chains, rules):
    lines = [f"*{name}", *(f":{chain} - [0:0]" for chain in chains), *rules, "COMMIT"]
    return "\n".join(lines) + "\n"
