# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would be wrong with a configuration of Antrea in a certain version. Pure.

Antrea reads its configuration at its start only: a mistake shows when the next pod starts, which
may be days later and on all nodes at once. So it is judged before it is written, by the tables of
`_antrea_tables` and by what ``options.go`` of ``cmd/antrea-agent`` and ``cmd/antrea-controller``
refuse.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import (
    ALL,
    FATAL,
    GATES,
    NOTE,
    VAIN,
    Config,
    Doc,
    Problem,
    Where,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import (
    AGENT,
    CONTROLLER,
    FILES,
    Version,
)


def problems(config: Config) -> list[Problem]:
    """Return everything that is wrong, in the order of the files, each with its line if it has one.

    Lines are those of ``config.lines``, which may be of the text before a change.
    """
    found: list[Problem] = []
    for component in (AGENT, CONTROLLER):
        document = config.documents.get(component) or {}
        found += _keys(config, component, document, "")
        found += _gates(config, component, document)
    found += _needs(config)
    found += _proxy(config)
    found += _secondary(config)
    return [_located(config, problem) for problem in found]


def refused(found: list[Problem], asked: frozenset[Where]) -> list[Problem]:
    """Return the problems that forbid a change: fatal ones, and vain ones that it brings about."""
    return [p for p in found if p.level == FATAL or (p.level == VAIN and p.concerns(asked))]


def _located(config: Config, problem: Problem) -> Problem:
    known = config.lines.get(problem.component) or {}
    line = known.get(tuple(problem.path.split(".")))
    return replace(problem, line=line[0], text=line[1]) if line else problem


def _title(version: Version | None) -> str:
    return f"v{version[0]}.{version[1]}" if version else "this version"


def _keys(config: Config, component: str, block: Doc, prefix: str) -> Iterator[Problem]:
    known = tables.KEYS[component]
    for name, value in block.items():
        path = f"{prefix}{name}"
        key = known.get(path)
        if key is None or not key.known_in(config.version):
            problem = _unknown_key(config, component, path, key)
            if problem:
                yield problem
        elif key.kind == "block" and isinstance(value, dict):
            yield from _keys(config, component, value, f"{path}.")
        else:
            yield from _value(component, key, value)


def _unknown_key(
    config: Config, component: str, path: str, key: tables.Key | None
) -> Problem | None:
    strict = config.version is not None and config.version < tables.LENIENT
    level, name = (FATAL if strict else VAIN), path.rpartition(".")[2]
    take_away = f"take it away ({component}: {path}: null)"

    def told(what: str, remedy: str) -> Problem:
        ends = "does not start with it" if strict else "ignores it"
        return Problem(component, path, f"{what}; Antrea {ends}", remedy, level)

    if key is not None:
        if key.until and tables.number(key.until) <= (config.version or tables.NEWEST):
            what = f"{path} was removed in v{key.until}, this is {_title(config.version)}"
            return told(what, take_away[0].upper() + take_away[1:])
        what = f"{path} comes with v{key.since}, this is {_title(config.version)}"
        return told(what, f"Upgrade Antrea, or {take_away}")
    elsewhere = [
        (other, found)
        for other in (component, CONTROLLER if component == AGENT else AGENT)
        for found, k in tables.KEYS[other].items()
        if found.rpartition(".")[2] == name and k.known_in(config.version)
    ]
    if tables.gate(name, config.version):
        return told(f"{path} is a feature gate", f"Put it below {GATES} (feature_gates)")
    for other, found in elsewhere:
        what = f"{path} is at the wrong place: it is {found} of {FILES[other]}"
        return told(what, f"Set {other}: {found} instead, and {take_away}")
    if config.newer:
        return None
    near = difflib.get_close_matches(path, tables.KEYS[component], 1, 0.8)
    hint = f"Meant is perhaps {near[0]}; else {take_away}" if near else take_away
    return told(f"{path} is no key of {_title(config.version)}", hint[0].upper() + hint[1:])


def _value(component: str, key: tables.Key, value: Any) -> Iterator[Problem]:
    """Judge a value; null and "" are what an absent key is."""
    path = key.path
    if value is None or (key.kind == "str" and value == ""):
        return
    kinds: dict[str, Any] = {"str": str, "bool": bool, "int": int, "list": list}
    wanted = kinds.get(key.kind, dict)
    words = {"str": "text", "bool": "true or false", "int": "a number", "list": "a list"}
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        kind = words.get(key.kind, "a block of keys")
        yield Problem(component, path, f"{path} is {value!r}", f"It must be {kind}", FATAL)
        return
    choices = tables.WORDS.get(path)
    if choices and str(value).lower() not in [word.lower() for word in choices]:
        yield Problem(
            component, path, f"{path} is {value}", f"Antrea knows {', '.join(choices)}", FATAL
        )
    limits = tables.LIMITS.get(path)
    if limits and not limits[0] <= value <= limits[1]:
        remedy = f"It must be from {limits[0]} to {limits[1]}"
        yield Problem(component, path, f"{path} is {value}", remedy, FATAL)
    for item in value if path in tables.NETWORKS else ():
        if not _network(item):
            remedy = "It must be a network in CIDR form, for example 192.0.2.0/24"
            yield Problem(component, path, f"{path} holds {item}", remedy, FATAL)
    if path == "kubeAPIServerOverride" and not _server(value):
        remedy = "It must be a host, host:port or URL, for example https://10.0.0.10:6443"
        yield Problem(component, path, f"{path} is {value}", remedy, FATAL)


def _network(text: Any) -> bool:
    try:
        ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return False
    return "/" in str(text)


def _server(text: str) -> bool:
    match = re.fullmatch(r"(https?://)?(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+)(:(\d+))?(/\S*)?", text)
    return bool(match) and (match[4] is None or 0 < int(match[4]) < 65536)  # type: ignore[index]


def _gates(config: Config, component: str, document: Doc) -> Iterator[Problem]:
    gates = document.get(GATES)
    for name, value in gates.items() if isinstance(gates, dict) else ():
        path = f"{GATES}.{name}"
        if not isinstance(value, bool):
            yield Problem(
                component, path, f"{path} is {value!r}", "It must be true or false", FATAL
            )
        elif name not in ALL:
            yield from _gate(config, component, str(name), value)


def _gate(config: Config, component: str, name: str, value: bool) -> Iterator[Problem]:
    path, version = f"{GATES}.{name}", config.version
    gate = tables.gate(name, version)
    take_away = f"take it away ({component}: {path}: null)"

    def told(what: str, remedy: str, level: str = FATAL) -> Problem:
        ends = "; Antrea does not start with it" if level == FATAL else ""
        return Problem(component, path, what + ends, remedy, level)

    if gate is None:
        if config.newer:
            return
        near = difflib.get_close_matches(name, tables.gates(), 1, 0.7)
        hint = f"Meant is perhaps {near[0]}; else {take_away}" if near else take_away
        yield told(f"{name} is no feature gate of {_title(version)}", hint[0].upper() + hint[1:])
    elif gate.stage is None and gate.removed and version and version >= tables.number(gate.removed):
        what = f"feature gate {name} was removed in v{gate.removed}, this is {_title(version)}"
        yield told(what, take_away[0].upper() + take_away[1:])
    elif gate.stage is None:
        what = f"feature gate {name} comes with v{gate.since}, this is {_title(version)}"
        yield told(what, f"Upgrade Antrea, or {take_away}")
    elif gate.locked and value != gate.default:
        what = f"feature gate {name} is locked to {str(gate.default).lower()} in {_title(version)}"
        yield told(what, take_away[0].upper() + take_away[1:])
    elif component not in gate.components:
        other = gate.components[0]
        what = f"feature gate {name} is the {other}'s and does nothing here"
        yield told(what, f"Set {other}: {path} instead, and {take_away}", VAIN)
    elif gate.stage == "deprecated" and value:
        gone = f" and removed in v{gate.removed}" if gate.removed else ""
        yield told(f"feature gate {name} is deprecated{gone}", "Plan to do without it", NOTE)


def _needs(config: Config) -> Iterator[Problem]:
    """What gates that a file sets, and values, need beside them."""
    for component in (AGENT, CONTROLLER):
        gates = (config.documents.get(component) or {}).get(GATES)
        for name in gates if isinstance(gates, dict) else ():
            gate = tables.gate(str(name), config.version)
            if gate and gate.stage and component in gate.components:
                yield from _gate_needs(config, component, str(name))
    for path, value, needed, wanted in tables.VALUE_NEEDS:
        key = tables.KEYS[AGENT][path]
        if key.known_in(config.version) and _is(config.get(AGENT, path), value):
            found = _unmet(config, AGENT, path, f"{path}: {value}", (AGENT, needed), wanted)
            if found:
                yield replace(found, level=FATAL)


def _gate_needs(config: Config, component: str, name: str) -> Iterator[Problem]:
    if not config.enabled(component, name):
        return
    version = config.version or tables.NEWEST
    for owner, needed, wanted in tables.needs(name, version):
        path = f"{GATES}.{name}"
        found = _unmet(config, component, path, f"feature gate {name}", (owner, needed), wanted)
        if found:
            fatal = version >= tables.FATAL_NEEDS.get(name, (9999, 0))
            yield replace(found, level=FATAL if fatal else VAIN)
    if name == "SecondaryNetwork" and config.attachments is False:
        yield Problem(
            component,
            f"{GATES}.{name}",
            "feature gate SecondaryNetwork needs the CRD NetworkAttachmentDefinition "
            "(k8s.cni.cncf.io), which this cluster does not serve",
            "Install the CRD first (it comes with Multus)",
            VAIN,
            also=((AGENT, "secondaryNetwork.ovsBridges"),),
        )


def _unmet(
    config: Config, component: str, path: str, title: str, needed: Where, wanted: str
) -> Problem | None:
    now = config.get(*needed)
    if _is(now, wanted):
        return None
    said = "not set" if now is None else str(now).lower() if isinstance(now, bool) else now
    what = f"{title} needs {needed[1]}: {wanted} in {FILES[needed[0]]}, which is {said}"
    remedy = f"Set {needed[0]}: {needed[1]}: {wanted} too"
    return Problem(component, path, what, remedy, VAIN, also=(needed,))


def _is(value: Any, wanted: str) -> bool:
    return str(value).lower() == wanted.lower()


def _proxy(config: Config) -> Iterator[Problem]:
    """Rules about traffic modes and Services."""
    proxied = config.enabled(AGENT, "AntreaProxy") and _is(
        config.get(AGENT, "antreaProxy.enable"), "true"
    )
    gate, enable = (AGENT, f"{GATES}.AntreaProxy"), (AGENT, "antreaProxy.enable")
    mode = str(config.get(AGENT, "trafficEncapMode"))
    proxy_all = _is(config.get(AGENT, "antreaProxy.proxyAll"), "true")
    if not proxied and proxy_all:
        what = "antreaProxy.proxyAll does nothing while AntreaProxy is off"
        remedy = "Set antreaProxy.enable and the gate AntreaProxy to true"
        yield Problem(AGENT, "antreaProxy.proxyAll", what, remedy, VAIN, also=(gate, enable))
    if not proxied and mode.lower() in ("noencap", "hybrid"):
        what = f"trafficEncapMode: {mode} needs AntreaProxy, which is off"
        remedy = "Set antreaProxy.enable and the gate AntreaProxy to true"
        yield Problem(AGENT, "trafficEncapMode", what, remedy, FATAL, also=(gate, enable))
    if _is(config.get(AGENT, "noSNAT"), "true") and mode.lower() in ("encap", "hybrid"):
        what = f"noSNAT is for trafficEncapMode noEncap and networkPolicyOnly, which is {mode}"
        also = ((AGENT, "trafficEncapMode"),)
        yield Problem(AGENT, "noSNAT", what, "Set noSNAT: false", FATAL, also=also)
    if config.configured(AGENT, "Egress") and mode.lower() not in ("encap", "hybrid"):
        what = f"feature gate Egress works with trafficEncapMode encap or hybrid, which is {mode}"
        remedy = "Change the mode, or leave the gate alone"
        also = ((AGENT, "trafficEncapMode"),)
        yield Problem(AGENT, f"{GATES}.Egress", what, remedy, VAIN, also=also)
    override = "kubeAPIServerOverride"
    ipam = _is(config.get(CONTROLLER, "nodeIPAM.enableNodeIPAM"), "true")
    if config.get(AGENT, override) and proxy_all and ipam and not config.get(CONTROLLER, override):
        what = (
            "the controller runs NodeIPAM and has no kubeAPIServerOverride: without kube-proxy it "
            "waits for an address that only the agents give, and they wait for it"
        )
        remedy = f"Set controller: {override} to the same"
        yield Problem(AGENT, override, what, remedy, VAIN, also=((CONTROLLER, override),))


def _secondary(config: Config) -> Iterator[Problem]:
    path = "secondaryNetwork.ovsBridges"
    bridges = config.get(AGENT, path)
    if not isinstance(bridges, list) or not bridges:
        return

    def told(what: str, remedy: str, level: str = FATAL, *also: Where) -> Problem:
        return Problem(AGENT, path, what, remedy, level, also=also)

    gate = (AGENT, f"{GATES}.SecondaryNetwork")
    if not config.enabled(AGENT, "SecondaryNetwork"):
        what = "a secondary bridge does nothing while the gate SecondaryNetwork is off"
        yield told(what, "Set feature_gates: SecondaryNetwork: true too", VAIN, gate)
    if len(bridges) > 1:
        yield told(f"there are {len(bridges)} secondary bridges", "Antrea takes one")
    limit = next((n for v, n in tables.BRIDGE_INTERFACES if (config.version or v) >= v), 1)
    for bridge in bridges:
        yield from (told(*words) for words in _bridge(config, bridge, limit))


def _bridge(config: Config, bridge: Any, limit: int) -> Iterator[tuple[str, str]]:
    """Yield (what, remedy) for one secondary bridge."""
    if not isinstance(bridge, dict):
        yield f"a secondary bridge is {bridge!r}", "It must be {bridgeName, physicalInterfaces}"
        return
    name, nics = bridge.get("bridgeName"), bridge.get("physicalInterfaces") or []
    unknown = set(bridge) - {"bridgeName", "physicalInterfaces", "enableMulticastSnooping"}
    if unknown:
        yield f"a secondary bridge has the key {min(unknown)}", "Antrea knows bridgeName"
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,15}", name):
        what = f"the secondary bridge's bridgeName is {name!r}"
        yield what, "It must have 1 to 15 letters, digits, '.', '_' or '-'"
    elif name == config.get(AGENT, "ovsBridge"):
        yield f"the secondary bridge {name} is ovsBridge itself", "Give it another name"
    if not isinstance(nics, list) or not all(isinstance(n, str) and n for n in nics):
        yield f"physicalInterfaces is {nics!r}", "It must be a list of names"
    elif len(nics) > limit:
        what = f"{len(nics)} physicalInterfaces, {_title(config.version)} takes at most {limit}"
        yield what, "Name fewer, or upgrade Antrea"
    elif len(set(nics)) < len(nics):
        yield f"physicalInterfaces names one twice: {', '.join(nics)}", "Name each once"
