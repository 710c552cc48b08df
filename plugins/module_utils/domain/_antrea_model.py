# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A configuration of Antrea as it takes effect, and what can be wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import (
    FILES,
    Version,
)

Doc = dict[str, Any]
#: "agent", "antreaProxy.proxyAll"
Where = tuple[str, str]
GATES = "featureGates"
ALL = {"AllAlpha": "alpha", "AllBeta": "beta"}

FATAL, VAIN, NOTE = "fatal", "vain", "note"


@dataclass(frozen=True)
class Problem:
    """``level``: fatal (the process does not start), vain (it does not do what was meant), note."""

    component: str
    path: str
    what: str
    remedy: str
    level: str
    also: tuple[Where, ...] = ()
    line: int | None = None
    text: str | None = None

    def concerns(self, asked: frozenset[Where]) -> bool:
        """Tell whether a setting that somebody asks for plays a part."""
        return bool(asked & {(self.component, self.path), *self.also})

    def say(self) -> str:
        """Return file, line, what and remedy as sentences."""
        line = f" line {self.line} ({self.text})" if self.line else ""
        return f"{FILES[self.component]}{line}: {self.what}. {self.remedy}."


@dataclass(frozen=True)
class Config:
    """Both files as read, and what is known of the cluster.

    ``attachments``: whether NetworkAttachmentDefinitions are served; None: not known.
    """

    version: Version | None
    documents: Mapping[str, Doc]
    attachments: bool | None = None
    lines: Mapping[str, Mapping[tuple[str, ...], tuple[int, str]]] = field(default_factory=dict)

    @property
    def newer(self) -> bool:
        """Whether the version may know more than the tables do."""
        return self.version is None or self.version > tables.NEWEST

    def get(self, component: str, path: str) -> Any:
        """Return a setting as it takes effect, None where its default is not known here."""
        if path.startswith(f"{GATES}."):
            return self.enabled(component, path.partition(".")[2])
        value: Any = self.documents.get(component)
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return tables.DEFAULTS.get(path) if value in (None, "") else value

    def configured(self, component: str, name: str) -> bool | None:
        """Return what a file says of a gate, None if nothing."""
        gates = (self.documents.get(component) or {}).get(GATES)
        value = gates.get(name) if isinstance(gates, dict) else None
        return value if isinstance(value, bool) else None

    def enabled(self, component: str, name: str) -> bool:
        """Return whether a gate is on: as configured, by AllAlpha or AllBeta, by default."""
        gate = tables.gate(name, self.version)
        said = self.configured(component, name)
        if said is not None:
            return said
        if gate is None or gate.stage is None:
            return False
        for name_of_all, stage in ALL.items():
            all_of_stage = self.configured(component, name_of_all)
            if gate.stage == stage and all_of_stage is not None and not gate.locked:
                return all_of_stage
        return gate.default
