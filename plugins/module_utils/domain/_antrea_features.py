# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it takes to switch feature gates of Antrea: judged by version, with what they need. Pure."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_config import (
    Have,
    Want,
    config_of,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import (
    ALL,
    GATES,
    Config,
    Problem,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import AGENT, FILES
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

#: Why a gate went, beyond the version, and what does its work since.
_GONE = {
    "L7FlowExporter": "Flow records bear no L7 fields since; L7NetworkPolicy logs what it matches",
}
#: What is never set only because a gate needs it, and who does that.
_BARRED = {
    "trafficEncapMode": "it changes how all pods reach each other, and takes a plan of its own",
    "antreaProxy.proxyAll": "who serves Services is for k8snet.cni.kube_proxy_removal to change",
}
#: Set only with the setting that it cannot do without, which nobody can guess.
_WITH = {"nodeIPAM.enableNodeIPAM": "nodeIPAM.clusterCIDRs"}


@dataclass(frozen=True)
class Ask:
    """What is wanted. ``gates``: name -> true, false, or None for Antrea's default."""

    gates: Mapping[str, Any] = field(default_factory=dict)
    prerequisites: bool = False
    deprecated: frozenset[str] = frozenset()


@dataclass
class Found:
    """What would be written, and what bars it. ``expected``: agents' gates as they are to run."""

    gates: dict[str, bool | None] = field(default_factory=dict)
    files: dict[str, Obj] = field(default_factory=lambda: {name: {} for name in FILES})
    pulled: list[str] = field(default_factory=list)
    expected: dict[str, bool] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def want(self) -> Want:
        """Return it as antrea_config takes it."""
        return Want(self.files, self.gates)


def have_of(antrea: Obj) -> Have:
    """Return what a change works with, of RV(antrea) of antrea_info."""
    served = antrea.get("served") or {}
    return Have(antrea["config_map"]["object"], antrea["version"], served.get("attachments"))


def resolve(have: Have, ask: Ask) -> Found:
    """Return what switching these gates takes. Raises `TextError` for a file that is no YAML."""
    found = Found()
    config = config_of(have)
    for name, value in ask.gates.items():
        known = {"true": True, "yes": True, "false": False, "no": False, "none": None, "": None}
        word = str(value).lower()
        if word not in known:
            found.refusals.append(
                f"Feature gate {name} is to be {value!r}. It must be true, false, or null for "
                "Antrea's default."
            )
            continue
        found.gates[name] = known[word]
        found.refusals += _judge(config, name, known[word], ask.deprecated)
    if found.refusals:
        return found
    _pull(config, have.version, ask, found)
    after = applied(config, found, have.version)
    found.refusals += _left_alone(after, found)
    for name in found.gates:
        gate = tables.gate(name, config.version)
        if gate and gate.stage and AGENT in gate.components:
            found.expected[name] = after.enabled(AGENT, name)
    return found


def applied(config: Config, found: Found, version: str | None) -> Config:
    """Return the configuration as it would be."""
    documents: dict[str, Obj] = {c: copy.deepcopy(dict(d)) for c, d in config.documents.items()}
    for component, document in documents.items():
        for path, value in found.want().settings(component, version).items():
            block = document
            for part in path[:-1]:
                block[part] = block[part] if isinstance(block.get(part), dict) else {}
                block = block[part]
            if value is None:
                block.pop(path[-1], None)
            else:
                block[path[-1]] = value
    return replace(config, documents=documents)


def _judge(
    config: Config, name: str, value: bool | None, accepted: frozenset[str]
) -> Iterator[str]:
    """Yield why a version does not take a gate. A line may always be taken away."""
    if value is None:
        return
    title = f"v{config.version[0]}.{config.version[1]}" if config.version else "this version"
    gate = tables.gate(name, config.version)
    leave = "Take it out of antrea_features_gates"
    if name in ALL:
        yield f"{name} switches gates that nobody has named. Name those that are meant."
    elif gate is None:
        if config.newer:
            return
        near = difflib.get_close_matches(name, tables.gates(), 1, 0.7)
        meant = f" Meant is perhaps {near[0]}." if near else ""
        yield f"{name} is no feature gate of Antrea.{meant}"
    elif (
        gate.stage is None
        and gate.removed
        and (config.version or (0, 0)) >= tables.number(gate.removed)
    ):
        why = f" {_GONE[name]}." if name in _GONE else ""
        yield (
            f"Feature gate {name} was removed in v{gate.removed}, and this is {title}: Antrea does "
            f"not start with it.{why} {leave}, or set it to null, which takes its line away."
        )
    elif gate.stage is None:
        yield (
            f"Feature gate {name} comes with v{gate.since}, and this is {title}. Upgrade Antrea, "
            f"or {leave[0].lower()}{leave[1:]}."
        )
    elif gate.locked and value != gate.default:
        yield (
            f"Feature gate {name} is locked to {str(gate.default).lower()} in {title}: it has "
            f"become a part of Antrea. {leave}."
        )
    elif gate.stage == "deprecated" and value and name not in accepted:
        gone = f", and removed in v{gate.removed}" if gate.removed else ""
        yield (
            f"Feature gate {name} is deprecated in {title}{gone}: the next upgrade breaks what "
            "relies on it. Do without it, or name it in antrea_features_accept_deprecated."
        )


def _pull(config: Config, version: str | None, ask: Ask, found: Found) -> None:
    """Add what gates that come on need, and what that needs; or say what is missing."""
    queue = list(found.gates)
    while queue:
        name = queue.pop(0)
        after = applied(config, found, version)
        if found.gates[name] is not True:
            continue
        if name == "SecondaryNetwork" and config.attachments is False:
            found.refusals.append(
                "Feature gate SecondaryNetwork needs the CRD NetworkAttachmentDefinition, which "
                "comes with Multus. Install that first."
            )
        for component, path, wanted in tables.needs(name, config.version):
            if str(after.get(component, path)).lower() == wanted.lower():
                continue
            said = _refused(ask, found, after, (name, component, path, wanted))
            if said:
                found.refusals.append(said)
                continue
            queue += _set(found, component, path, wanted == "true")
            found.pulled.append(f"{path.rpartition('.')[2]} is set too, since {name} needs it")


def _refused(ask: Ask, found: Found, after: Config, need: tuple[str, str, str, str]) -> str | None:
    """Return why what a gate needs is not set, None if it may be."""
    name, component, path, wanted = need
    now = after.get(component, path)
    shown = "not set" if now is None else str(now).lower() if isinstance(now, bool) else str(now)
    what = f"Feature gate {name} needs {path}: {wanted} in {FILES[component]}, which is {shown}"
    needed = path.partition(".")[2] if path.startswith(f"{GATES}.") else ""
    if needed and found.gates.get(needed, True) is not True:
        return f"{what}, and is asked to be so. Switch one of them only."
    if path in _BARRED:
        return f"{what}. It is not set along: {_BARRED[path]}."
    if path in _WITH and not after.get(component, _WITH[path]):
        return f"{what}. It needs {_WITH[path]}, too: set both with k8snet.cni.antrea_config."
    if not ask.prerequisites:
        return f"{what}. Set that first, or antrea_features_prerequisites=true has it set along."
    return None


def _set(found: Found, component: str, path: str, value: bool) -> list[str]:
    """Note a setting; return the gates whose own needs are to be looked at."""
    if path.startswith(f"{GATES}."):
        name = path.partition(".")[2]
        found.gates[name] = value
        return [name]
    block = found.files[component]
    *parents, last = path.split(".")
    for part in parents:
        block = block.setdefault(part, {})
    block[last] = value
    return []


def _left_alone(after: Config, found: Found) -> Iterator[str]:
    """Yield gates that stay on and need one that goes off."""
    for name in tables.gates():
        gate = tables.gate(name, after.version)
        if name in found.gates or not gate or not gate.stage:
            continue
        if not any(after.enabled(c, name) for c in gate.components):
            continue
        for component, path, _wanted in tables.needs(name, after.version):
            needed = path.partition(".")[2]
            off = path.startswith(f"{GATES}.") and not after.enabled(component, needed)
            if off and needed in found.gates:
                yield (
                    f"Feature gate {name} is on and needs {needed}, which is to go off. Switch "
                    f"{name} off, too."
                )


def upgrade(have: Have, found: Found, target: str) -> tuple[list[Problem], list[str]]:
    """Return what a version finds wrong that this one does not, and the gates that it brings on.

    Judged is the configuration as it would be with the change.
    """
    now = applied(config_of(have), found, have.version)
    then = replace(now, version=tables.parse_version(target))
    known = {(p.component, p.path, p.level) for p in _antrea_rules.problems(now)}
    broken = [
        problem
        for problem in _antrea_rules.problems(then)
        if (problem.component, problem.path, problem.level) not in known
    ]
    return broken, [name for name in tables.gates() if _comes_on(now, then, name)]


def _comes_on(now: Config, then: Config, name: str) -> bool:
    before, after = tables.gate(name, now.version), tables.gate(name, then.version)
    if not before or not after or not before.stage or not after.stage:
        return False
    return any(then.enabled(c, name) and not now.enabled(c, name) for c in after.components)
