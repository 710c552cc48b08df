# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written to Antrea's ConfigMap, and which processes read it only after a restart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _antrea_rules,
    _ownership,
    _yaml_text,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import (
    ALL,
    GATES,
    Config,
    Where,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import (
    AGENT,
    CONTROLLER,
    FILES,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import Change
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Edit, Obj, title
from ansible_collections.k8snet.cni.plugins.module_utils.domain._written import unread
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml import to_yaml

Settings = dict[tuple[str, ...], Any]

# Where the chart's values.yaml calls a key of a file otherwise.
_VALUES = {
    (AGENT, "ovsBridge"): "ovs.bridgeName",
    (AGENT, "apiPort"): "agent.apiPort",
    (AGENT, "clusterPort"): "agent.clusterPort",
    (AGENT, "enablePrometheusMetrics"): "agent.enablePrometheusMetrics",
    (AGENT, "memberlist"): "agent.memberlist",
    (CONTROLLER, "apiPort"): "controller.apiPort",
    (CONTROLLER, "enablePrometheusMetrics"): "controller.enablePrometheusMetrics",
    (CONTROLLER, "selfSignedCert"): "controller.selfSignedCert",
    (CONTROLLER, "nodeIPAM.enableNodeIPAM"): "nodeIPAM.enable",
    (CONTROLLER, "ipsecCSRSigner"): "ipsec.csrSigner",
}


@dataclass(frozen=True)
class Have:
    """The ConfigMap, whole, with what is known of the processes that read it.

    ``version``: as the DaemonSet's image says, null if untold. ``attachments``: whether
    NetworkAttachmentDefinitions are served, None: unknown. ``started``: component -> when the
    oldest of its pods was made (RFC 3339), None where that is not known.
    """

    config_map: Obj
    version: str | None = None
    attachments: bool | None = None
    started: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def target(self) -> Obj:
        meta = self.config_map["metadata"]
        return {"kind": "ConfigMap", "namespace": meta["namespace"], "name": meta["name"]}

    def text(self, component: str) -> str:
        """Return the text of a file. Raises `Refused` if there is none."""
        found = (self.config_map.get("data") or {}).get(FILES[component])
        if found is None:
            raise Refused(
                f"Refused to change {title(self.target)}: it holds no {FILES[component]}. Is this "
                "the ConfigMap that Antrea's DaemonSet mounts?"
            )
        return str(found)


@dataclass(frozen=True)
class Want:
    """Settings per component, nested as in the files; None takes a line away."""

    files: Mapping[str, Obj] = field(default_factory=dict)
    feature_gates: Mapping[str, bool | None] = field(default_factory=dict)
    validate: bool = True

    def settings(self, component: str, version: str | None) -> Settings:
        """Return path -> value of one file, gates in the files of the components that have them."""
        found: Settings = {}
        for name, value in self.feature_gates.items():
            gate = tables.gate(name, tables.parse_version(version))
            # A gate that the tables do not know is put where most are; the rules judge it.
            where = gate.components if gate else (AGENT, CONTROLLER) if name in ALL else (AGENT,)
            if component in where:
                found[(GATES, name)] = _fitting("bool", value)
        for path, value in _flat(self.files.get(component) or {}, ()):
            key = tables.KEYS[component].get(".".join(path))
            kind = "bool" if path[0] == GATES else key.kind if key else ""
            found[path] = _fitting(kind, value)
        return found

    def where(self, version: str | None) -> frozenset[Where]:
        """Return everything that is asked for."""
        return frozenset(
            (component, ".".join(path))
            for component in FILES
            for path in self.settings(component, version)
        )


def _flat(block: Obj, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in block.items():
        here = (*path, str(name))
        found += _flat(value, here) if isinstance(value, dict) else [(here, value)]
    return found


def _fitting(kind: str, value: Any) -> Any:
    """Return a value in the type of its key: what comes out of a template is text."""
    if kind == "bool" and str(value).lower() in ("true", "false", "yes", "no"):
        return str(value).lower() in ("true", "yes")
    if kind == "int" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if kind == "str" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def plan_change(have: Have, want: Want) -> Change:
    """Return what turns ``have`` into ``want``. Raises `Refused`."""
    edit = Edit(have.config_map, have.target, _path(have.target))
    settings = {c: want.settings(c, have.version) for c in FILES}
    before = {c: have.text(c) for c in FILES if settings[c]}
    after: dict[str, str] = {}
    for component, text in before.items():
        try:
            after[component] = _yaml_text.edit(text, settings[component])
        except _yaml_text.TextError as error:
            file = f"{FILES[component]} in {title(have.target)}"
            raise Refused(f"Refused to change {file}: {error}.") from None
    if want.validate and after != before:
        _refuse(have, want, after)
    for component, text in after.items():
        _note(edit, component, before[component], text, _words(before[component], text))
    return _change(edit)


def plan_restore(have: Have, undo: Obj) -> Change:
    """Return what puts both files back as they were in ``undo``, byte by byte. Raises `Refused`."""
    meta = undo.get("metadata") or {}
    was = {"kind": "ConfigMap", "namespace": meta.get("namespace"), "name": meta.get("name")}
    if was != have.target:
        raise Refused(
            f"Refused to restore {title(have.target)}: 'undo' holds {title(was)}. Antrea was "
            "installed anew in between, or 'undo' is of another cluster."
        )
    edit = Edit(have.config_map, have.target, _path(have.target))
    for component, file in FILES.items():
        former = (undo.get("data") or {}).get(file)
        if former is not None and have.text(component) != former:
            _note(edit, component, have.text(component), former, "put back as it was")
    return _change(edit)


def config_of(have: Have, texts: Mapping[str, str] | None = None) -> Config:
    """Return the configuration, of ``texts`` where given; lines are those of the ConfigMap.

    Raises `TextError`.
    """
    data = have.config_map.get("data") or {}
    now = {c: str(data[file]) for c, file in FILES.items() if data.get(file) is not None}
    return Config(
        tables.parse_version(have.version),
        {c: _yaml_text.parse((texts or {}).get(c, text)) for c, text in now.items()},
        have.attachments,
        {c: _yaml_text.lines_of(text) for c, text in now.items()},
    )


def _refuse(have: Have, want: Want, after: Mapping[str, str]) -> None:
    try:
        config = config_of(have, after)
    except _yaml_text.TextError as error:
        raise Refused(f"Refused to change {title(have.target)}: {error}.") from None
    found = _antrea_rules.refused(_antrea_rules.problems(config), want.where(have.version))
    if found:
        said = "\n".join(f"- {problem.say()}" for problem in found)
        raise Refused(
            f"Refused to change {title(have.target)} of Antrea {have.version or '(no version)'}: "
            f"\n{said}\nWith validate: false it is written all the same."
        )


def _words(before: str, after: str) -> str:
    """Return what changed, key by key, in plain words."""
    old, new = (dict(_flat(_yaml_text.parse(text), ())) for text in (before, after))
    words = []
    for path in [*new, *(p for p in old if p not in new)]:
        name = ".".join(path)
        if path not in new and any(other[: len(path)] == path for other in new):
            continue  # a block that was empty has keys now
        if path not in new:
            words.append(f"take {name} away (was {_shown(old[path])})")
        elif old.get(path) is None:
            words.append(f"set {name}: {_shown(new[path])}")
        elif old[path] != new[path]:
            words.append(f"set {name}: {_shown(new[path])} (was {_shown(old[path])})")
    # A block whose last key goes reads as null; that is no news.
    return "; ".join(w for w in words if not w.endswith(": null")) or "change the text"


def _shown(value: Any) -> str:
    return _yaml_text.written(value)


def _note(edit: Edit, component: str, before: str, after: str, words: str) -> None:
    if before == after:
        return
    file = FILES[component]
    edit.after["data"][file] = after
    words = words[0].upper() + words[1:]
    edit.steps.append(Step(words, f"{title(edit.target)}: {file}", before, after))


def _change(edit: Edit) -> Change:
    write = edit.write()
    return Change(Plan(tuple(edit.steps)), (write,) if write else ())


def _path(target: Obj) -> str:
    return f"/api/v1/namespaces/{target['namespace']}/configmaps/{target['name']}"


def restart_due(have: Have, change: Change) -> dict[str, Any]:
    """Return ``{agent, controller, why}``: whether processes have not read what is (to be) there.

    A process reads its file when it starts. A pod made before the file was last written, or in the
    same second, may have read another.
    """
    changed = {step.target.rpartition(": ")[2] for step in change.plan.steps}
    due: dict[str, Any] = {}
    why = []
    for component, file in FILES.items():
        made = have.started.get(component)
        written = unread(have.config_map, file, made)
        due[component] = file in changed or bool(written)
        if file in changed:
            why.append(f"antrea-{component} reads {file} at its start only")
        elif written:
            why.append(f"an antrea-{component} pod is of {made}, {file} of {written}")
    return {**due, "why": "; ".join(why) or None}


def refusal(have: Have, want: Want) -> str | None:
    """Return why the ConfigMap of somebody else is not changed, with what to commit."""
    return _ownership.refusal_of(have.config_map, have.target, lambda by: snippet(have, want, by))


def snippet(have: Have, want: Want, by: str) -> str:
    """Return what to commit: values of the chart for Helm, else lines of the files."""
    if by == "helm":
        values: Obj = {}
        for component in FILES:
            for path, value in want.settings(component, have.version).items():
                _put(values, _value_name(component, ".".join(path)), value)
        return to_yaml(values)
    files: Obj = {}
    for component, file in FILES.items():
        for path, value in want.settings(component, have.version).items():
            _put(files.setdefault(file, {}), path, value)
    return to_yaml(files)


def _value_name(component: str, path: str) -> tuple[str, ...]:
    for (owner, key), name in _VALUES.items():
        if owner == component and (path == key or path.startswith(f"{key}.")):
            return tuple((name + path[len(key) :]).split("."))
    return tuple(path.split("."))


def _put(document: Obj, path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        document = document.setdefault(part, {})
    document[path[-1]] = value
