# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bars a removal of kube-proxy or is to be known first, in the cluster and on nodes. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _service_probe
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nics import is_global_unicast
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import View, bare

Obj = dict[str, Any]
#: Antrea's first version whose rules go ahead of kube-proxy's, and the first that answers on 10256.
OLDEST, BETTER = (2, 1, 0), (2, 5, 0)
#: Antrea ignores the ranges, and the Service is open to everybody.
_OPENS = "loadBalancerSourceRanges"
_LIMITS = {
    _OPENS: "AntreaProxy lets everybody in, whatever spec.loadBalancerSourceRanges says",
    "endpoints>800": "AntreaProxy uses its first 800 endpoints only",
    "affinity>65535": "AntreaProxy keeps a client at its endpoint for 65535 s at most",
    "service-proxy-name": "it has the label service-proxy-name, so AntreaProxy leaves it alone",
}
#: kube-proxy's chains that a kubelet up to 1.26 makes again by itself.
TOLERATED = frozenset({"KUBE-MARK-MASQ", "KUBE-POSTROUTING"})
_LAST_WITH_CHAINS = (1, 26)
FIREWALL = "KUBE-FIREWALL"


def version_of(text: str | None) -> tuple[int, ...] | None:
    """Return (major, minor, patch) of "v2.3.0-dev", None for what names no version."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", str(text or ""))
    return tuple(int(part or 0) for part in found.groups()) if found else None


# -- where the agents find the API without kube-proxy ----------------------------------


def override_of(antrea: Obj, asked: str) -> str:
    """Return the URL to use: what is asked for, what Antrea has, else the one server there is."""
    configured = asked or antrea.get("kube_apiserver_override")
    if configured:
        return str(configured)
    servers = antrea.get("api_servers") or {}
    addresses = list(servers.get("addresses") or ())
    single = servers.get("source") == "endpoints" and len(addresses) == 1
    return f"https://{addresses[0]}" if single else ""


def url_refusals(
    url: str, antrea: Obj, networks: Iterable[str], unseen: list[str]
) -> Iterator[str]:
    """Say why a URL cannot be the override, as far as it shows by itself."""
    if not url:
        known = ", ".join((antrea.get("api_servers") or {}).get("addresses") or ())
        yield (
            "Without kube-proxy agents need an address of the API server that is no Service: set "
            "kube_proxy_removal_api_server to https://host:port"
            + (f" (its servers are {known})." if known else ".")
        )
        return
    try:
        host = _service_probe.api_server(url).host
    except ValueError as error:
        yield f"The API server's URL cannot be used: {error}. Antrea takes https://host:port only."
        return
    if in_networks(host, networks):
        yield _is_service(url, f"{host} is in the Service network")
    elif re.fullmatch(r"kubernetes(\.default(\..*)?)?", host):
        yield _is_service(url, "that is the name of a Service")
    if _is_loopback(host) and unseen:
        yield (
            f"{url} works only where each node itself listens, and {', '.join(unseen)} could not "
            "be asked."
        )


def _is_service(url: str, why: str) -> str:
    return (
        f"{url} depends on a Service: {why}. Its agents would never find the API again once "
        "kube-proxy is gone. Name an API server, or a load balancer outside of the cluster."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def in_networks(address: str, networks: Iterable[str]) -> bool:
    """Tell whether an address is in one of the networks; a name is in none."""
    try:
        here = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(here in ipaddress.ip_network(network, strict=False) for network in networks)


def api_refusals(view: View, url: str, kube_proxy: Obj, gateway: str) -> Iterator[str]:
    """Say why a node would not reach the API server at this URL without kube-proxy."""
    probe = (view.host or {}).get("probe") or {}
    api = probe.get("api")
    if not api:
        why = (view.host or {}).get("probe_error") or "no answer"
        yield f"{view.name}: it could not be asked whether it reaches {url}: {why}"
        return
    if not api["ok"]:
        yield f"{view.name} does not reach {url}: {api['error']}."
        return
    for address in api["addresses"]:
        holder = _service_at(address, kube_proxy)
        if holder:
            yield f"{view.name}: {_is_service(url, f'{address} is {holder}')}"
        elif address in api["local"] and _on_ipvs(view, address):
            yield f"{view.name}: {_is_service(url, f'there {address} is on kube-ipvs0')}"
    way = ((view.facts.get("k8snet_reach") or {}).get(api["host"]) or {}).get("interface")
    if way in (gateway, "kube-ipvs0"):
        yield f"{view.name}: {_is_service(url, f'its way there goes over {way}')}"


def _service_at(address: str, kube_proxy: Obj) -> str | None:
    if in_networks(address, kube_proxy.get("service_cidrs") or ()):
        return "in the Service network"
    service = (kube_proxy.get("external_ips") or {}).get(address)
    return f"an address of Service {service}" if service else None


def _on_ipvs(view: View, address: str) -> bool:
    """Tell whether an address of this node is on none of its NICs, which leaves kube-ipvs0."""
    residue = (view.facts.get("k8snet_kube_proxy") or {}).get("residue") or {}
    dummy = residue.get("kube_ipvs0")
    if not dummy or not is_global_unicast(address):
        return False
    nics = [nic for nic in view.facts.get("k8snet_nics") or () if nic["name"] != "kube-ipvs0"]
    return not any(bare(entry) == address for nic in nics for entry in nic["addresses"])


# -- the cluster -----------------------------------------------------------------------


def version_words(antrea: Obj) -> tuple[list[str], list[str]]:
    """Return refusals and warnings by Antrea's version."""
    version = version_of(antrea.get("version"))
    if version is None:
        return [], ["Antrea's version is not told. AntreaProxy needs v2.1 or newer here."]
    shown = antrea["version"]
    if version < OLDEST:
        return [
            f"Antrea {shown} cannot serve beside kube-proxy: its rules go ahead of kube-proxy's "
            "from v2.1 on. Upgrade Antrea first, to v2.5 or newer at best."
        ], []
    if version < BETTER:
        return [], [
            f"Antrea {shown} does not answer health checks on port 10256, which kube-proxy did and "
            "load balancers may ask: v2.5 and newer do."
        ]
    return [], []


def proxy_problems(antrea: Obj) -> list[str]:
    """Return why AntreaProxy would not serve as it is configured, though agents start."""
    return [
        f"AntreaProxy would not serve as it is configured: {p['path']}: {p['what']} {p['remedy']}"
        for p in antrea["problems"]
        if p["level"] == "vain" and re.match(r"(featureGates\.)?antreaproxy\b", p["path"], re.I)
    ]


def service_words(kube_proxy: Obj, accepted: set[str]) -> tuple[list[str], list[str]]:
    """Return refusals and warnings about Services that AntreaProxy serves otherwise."""
    refusals, warnings = [], []
    for entry in kube_proxy.get("services") or ():
        name = f"{entry['namespace']}/{entry['name']}"
        for limit in entry["limits"]:
            text = f"Service {name}: {_LIMITS.get(limit, limit)}."
            if limit == _OPENS and name not in accepted:
                refusals.append(
                    f"{text} Restrict it elsewhere, then name it in "
                    "kube_proxy_removal_accept_services."
                )
            else:
                warnings.append(text)
    return refusals, warnings


def config_words(kube_proxy: Obj, antrea: Obj) -> list[str]:
    """Return warnings about how kube-proxy is configured."""
    found = [f"{text}." for text in kube_proxy.get("config_errors") or ()]
    mode = kube_proxy.get("mode") or "iptables"
    if mode != "iptables" and kube_proxy.get("present"):
        found.append(
            f"kube-proxy runs in {mode} mode. Until a node is cleaned both serve there, and which "
            "one answers differs by the way a packet takes."
        )
    ports = ", ".join(kube_proxy.get("node_port_addresses") or ())
    config = ((antrea.get("config") or {}).get("agent") or {}).get("antreaProxy") or {}
    if ports and not config.get("nodePortAddresses"):
        found.append(
            f"kube-proxy opens NodePorts on {ports} only, AntreaProxy on all addresses of a node: "
            "set antreaProxy.nodePortAddresses (networks) in antrea-agent.conf first."
        )
    if kube_proxy.get("node_local_dns"):
        found.append(
            "NodeLocalDNS runs. Pods that ask the Service of the cluster's DNS pass it by unless "
            "antreaProxy.skipServices in antrea-agent.conf names that Service."
        )
    return found


# -- one node --------------------------------------------------------------------------


def answered(view: View) -> list[list[Any]]:
    """Return what answered before the change, as [name, whether from a pod]."""
    probe = (view.host or {}).get("probe") or {}
    entries = list(probe.get("connections") or ()) + list(probe.get("dns") or ())
    return [[entry["name"], bool(entry["pod"])] for entry in entries if entry["ok"]]


def node_refusals(view: View) -> Iterator[str]:
    """Say what on a node keeps it from being cleaned, or from being proved afterwards."""
    host = view.host or {}
    if host.get("rules_error"):
        yield f"{view.name}: what kube-proxy left could not be planned: {host['rules_error']}"
    probe = host.get("probe")
    if not probe:
        return
    if not any(not pod for _name, pod in answered(view)):
        said = "; ".join(str(text) for text in probe.get("problems") or ()) or "no Service is known"
        yield (
            f"{view.name}: no Service answers there even now, so that nobody could tell a removal "
            f"that breaks them ({said}). Repair that first."
        )


def node_words(view: View, mode: str) -> Iterator[str]:
    """Say what stays on a node, and what was not as expected."""
    facts = view.facts.get("k8snet_kube_proxy") or {}
    probe = (view.host or {}).get("probe") or {}
    if any(not pod for _name, pod in answered(view)):
        for text in probe.get("problems") or ():
            yield f"{view.name}: {text}, already now."
    actual = probe.get("proxy_mode")
    if actual and actual != mode:
        yield f"{view.name}: kube-proxy runs in {actual} mode there, not in {mode} mode."
    for blocker in facts.get("blockers") or ():
        yield (
            f"{view.name}: {blocker['target']} ({blocker['backend']} {blocker['family']} "
            f"{blocker['table']}) stays, since it is used by: {blocker['rules'][0]}"
        )
    for entry in facts.get("survivors") or ():
        if entry["what"] == "virtual_servers":
            yield (
                f"{view.name}: {entry['count']} virtual servers of IPVS are not the cluster's and "
                f"stay ({', '.join(entry['sample'])})."
            )
    for text in facts.get("errors") or ():
        yield f"{view.name}: {text}"


def residue(facts: Obj, tolerated: bool = False, kept: Iterable[str] = ()) -> list[str]:
    """Return what is left of kube-proxy on a node, in words; [] when it is clean.

    ``tolerated``: its kubelet makes two of the chains itself. ``kept``: ipsets that others hold.
    """
    found = []
    left = facts["residue"]
    for entry in left["iptables"]:
        kinds = dict(entry["by_kind"])
        spared = entry["table"] == "nat" and tolerated
        if (
            spared
            and set(kinds) <= TOLERATED
            and all("KUBE-POSTROUTING" in j for j in entry["jumps"])
        ):
            continue
        where = f"iptables-{entry['backend']} {entry['family']} {entry['table']}"
        found.append(f"{where}: {entry['chains']} chains, {len(entry['jumps'])} jumps")
    sets = [entry["name"] for entry in left["ipsets"] if entry["name"] not in set(kept)]
    if sets:
        found.append(f"{len(sets)} ipsets ({sets[0]})")
    if left["virtual_servers"]["count"]:
        found.append(f"{left['virtual_servers']['count']} virtual servers of IPVS")
    found += [f"nftables {t['family']} {t['name']}" for t in left["nft_tables"]]
    if left["kube_ipvs0"] is not None:
        found.append(f"kube-ipvs0 with {left['kube_ipvs0']['addresses']} addresses")
    return found


def summary(facts: Obj) -> str:
    """Return what is there of kube-proxy in a few words, "" when it is nothing."""
    sums: dict[str, list[int]] = {}
    for entry in facts["residue"]["iptables"]:
        counts = sums.setdefault(f"iptables-{entry['backend']}", [0, 0])
        counts[0] += entry["chains"]
        counts[1] += len(entry["jumps"])
    found = [
        f"{chains} chains and {jumps} jumps in {name}" for name, (chains, jumps) in sums.items()
    ]
    bare = {**facts, "residue": {**facts["residue"], "iptables": []}}
    return ", ".join(found + residue(bare))


def makes_chains(kubelet_version: str | None) -> bool:
    """Tell whether a kubelet makes chains of kube-proxy's names itself (up to 1.26)."""
    version = version_of(kubelet_version)
    return version is not None and version[:2] <= _LAST_WITH_CHAINS


def has_firewall(facts: Obj) -> bool:
    """Tell whether kubelet's KUBE-FIREWALL is seen on a node."""
    return any(FIREWALL in entry["sample"] for entry in facts["survivors"])
