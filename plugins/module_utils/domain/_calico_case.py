# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node's Calico address of one family: stored, wanted, and what detection would choose. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._autodetection import (
    detect,
    first_found_order,
    parse_method,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._exclusions import (
    default_exclusions,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_LINUX,
    Scope,
    View,
    bare,
    nic_of,
)

FIRST_FOUND, INTERNAL_IP = "first-found", "kubernetes-internal-ip"
_MOST_CHOICES = 32
# More parts than this make no method that somebody would want to set, or could read.
_MOST_PARTS = 8


@dataclass(frozen=True)
class Case:
    """What is compared for one Node. ``next`` is None where the node's NICs are not known."""

    view: View
    family: int
    method: str
    mode: str
    stored: str | None
    since: str | None
    internal: list[str]
    next: dict[str, Any] | None
    # NICs first-found could take, in the order in which it would; [] for other methods.
    choices: list[str]

    @property
    def name(self) -> str:
        return self.view.name

    @property
    def detects(self) -> bool:
        """Whether calico-node would detect an address if none were stored."""
        return self.mode in ("autodetect", "once")

    @property
    def repeats(self) -> bool:
        """Whether it detects again although one is stored."""
        return self.mode == "autodetect"

    @property
    def next_ip(self) -> str:
        return bare((self.next or {}).get("address"))

    @property
    def next_nic(self) -> str | None:
        return (self.next or {}).get("interface")

    @property
    def next_text(self) -> str:
        return f"{(self.next or {}).get('address')} ({self.next_nic})"

    @property
    def stored_nic(self) -> str | None:
        return nic_of(self.view.nics, self.stored)[0]

    @property
    def internal_nic(self) -> str | None:
        return nic_of(self.view.nics, self.internal[0] if self.internal else None)[0]

    @property
    def internal_address(self) -> str | None:
        """The InternalIP with its NIC's prefix, bare if its NIC is not known."""
        if not self.internal:
            return None
        return nic_of(self.view.nics, self.internal[0])[1] or self.internal[0]

    @property
    def internal_text(self) -> str:
        nic = self.internal_nic
        return f"{self.internal_address}" + (f" ({nic})" if nic else "")

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Changes of the node's NICs since its baseline."""
        return list((self.view.facts.get("k8snet_nic_drift") or {}).get("changes") or ())

    @property
    def baseline_recorded_at(self) -> str | None:
        return (self.view.facts.get("k8snet_nic_drift") or {}).get("recorded_at")

    def drift_of(self, nic: str | None) -> str | None:
        """Return how a NIC changed since the baseline: added, renamed, readdressed or None."""
        return next((c["change"] for c in self.changes if c["name"] == nic), None)

    def deliberate(self, mixed: bool) -> bool:
        """Whether somebody chose the stored address by choosing the method.

        So if the method is not the default, nor one that means the InternalIP; if it does give
        the stored address (taken as given where the node was not visited); if it gives no node
        its InternalIP (``mixed``), since one network for all is a choice and a mixture is an
        accident; and if the NIC did not arrive after the baseline.
        """
        if self.method in (FIRST_FOUND, INTERNAL_IP) or not self.stored or mixed:
            return False
        if self.next is not None and self.next_ip != bare(self.stored):
            return False
        return self.drift_of(self.stored_nic) is None


def judged(calico: dict[str, Any], family: int) -> bool:
    """Return whether Calico chooses this family's addresses where this audit can see them."""
    if calico["install"] in (None, "none", "canal") or calico["datastore"] != "kubernetes":
        return False
    return calico["methods"][f"v{family}"]["mode"] not in ("off", "fixed")


def cases_of(cluster: dict[str, Any], scope: Scope, family: int) -> list[Case]:
    """Return a `Case` for each Linux Node."""
    calico = cluster["calico"]
    method = calico["methods"][f"v{family}"]
    cases = []
    for view in scope.views:
        if view.node is None or view.state == NOT_LINUX:
            continue
        internal = view.internal_ips(family)
        words = method["method"] or FIRST_FOUND
        known = method["detects"] and view.nics is not None
        cases.append(
            Case(
                view=view,
                family=family,
                method=words,
                mode=method["mode"],
                stored=view.node["calico"][f"ipv{family}_address"],
                since=view.node["calico"][f"ipv{family}_since"],
                internal=internal,
                next=_known(predict(cluster, view, words, family)) if known else None,
                choices=_choices(view, family) if known and words == FIRST_FOUND else [],
            )
        )
    return cases


def predict(cluster: dict[str, Any], view: View, method: str, family: int) -> dict[str, Any]:
    """Return what Calico would choose on a visited node."""
    known = view.known._replace(internal_ips=tuple(view.internal_ips(family)))
    exclusions = default_exclusions(cluster["calico"]["version"])
    return detect(known, parse_method(method), family, exclusions).as_dict()


def _known(prediction: dict[str, Any]) -> dict[str, Any] | None:
    """Return None where the facts cannot tell (can-reach without the kernel's answer)."""
    return None if prediction["outcome"] == "unknown" else prediction


def _choices(view: View, family: int) -> list[str]:
    """Return the NICs that first-found would take if those before it were gone."""
    return first_found_order(view.known, family, default_exclusions())[:_MOST_CHOICES]


def families(cluster: dict[str, Any], scope: Scope) -> dict[int, Family]:
    """Return both families, for all who ask about them: what one predicted serves the next."""
    return {number: Family(cluster, scope, number) for number in (4, 6)}


class Family:
    """All cases of one family with what they have in common, computed once and when needed."""

    def __init__(self, cluster: dict[str, Any], scope: Scope, family: int) -> None:
        self.cluster = cluster
        self.calico: dict[str, Any] = cluster["calico"]
        self.scope = scope
        self.number = family
        self.settings: dict[str, Any] = self.calico["methods"][f"v{family}"]
        self._predicted: dict[tuple[str, str], dict[str, Any]] = {}

    @cached_property
    def cases(self) -> list[Case]:
        """A `Case` for each Linux Node."""
        return cases_of(self.cluster, self.scope, self.number)

    @cached_property
    def mixed(self) -> bool:
        """Whether the method gives some node its InternalIP."""
        return any(c.next_ip and c.next_ip in c.internal for c in self.cases)

    @cached_property
    def holders(self) -> dict[str, list[Case]]:
        """Stored address -> those that have it stored."""
        found: dict[str, list[Case]] = {}
        for case in self.cases:
            if case.stored:
                found.setdefault(bare(case.stored), []).append(case)
        return found

    @cached_property
    def methods(self) -> list[str]:
        """The methods worth comparing: the one in use, and those that could replace it."""
        networks: dict[Any, None] = {}
        nics: dict[str, None] = {}
        for case in self.cases:
            address, nic = case.internal_address, case.internal_nic
            if nic and address:
                networks[ipaddress.ip_interface(address).network] = None
                nics[f"^{re.escape(nic)}$"] = None
        if len(networks) > 1:
            # Clouds give each node a /32: neighbours become one network, strangers too many.
            networks = dict.fromkeys(ipaddress.collapse_addresses(networks))
        found = [m for m in (self.settings["method"], INTERNAL_IP, FIRST_FOUND) if m]
        for name, parts in (("cidr", [str(n) for n in networks]), ("interface", list(nics))):
            if 0 < len(parts) <= _MOST_PARTS:
                found.append(f"{name}={','.join(parts)}")
        return list(dict.fromkeys(found))

    @cached_property
    def recommended(self) -> tuple[str, str]:
        """The method that gives every known node its InternalIP, and words about that."""
        known = [c for c in self.cases if c.view.nics is not None and c.internal]
        if not known:
            return INTERNAL_IP, " (no node was visited: see first that InternalIPs are on the NICs)"
        for method in sorted(set(self.methods) - {FIRST_FOUND}, key=lambda m: m != INTERNAL_IP):
            if all(self._right(c, method) for c in known):
                whose = "the node" if len(known) == 1 else f"each of the {len(known)} visited nodes"
                return method, f" (it gives {whose} its InternalIP)"
        return INTERNAL_IP, " (no method gives every node its InternalIP; see the what-if table)"

    def predict(self, case: Case, method: str) -> dict[str, Any]:
        """Return what a method would choose on a visited node; each is predicted once."""
        key = (case.name, method)
        if key not in self._predicted:
            if method == case.method and case.next is not None:
                self._predicted[key] = case.next
            else:
                self._predicted[key] = predict(self.cluster, case.view, method, self.number)
        return self._predicted[key]

    def _right(self, case: Case, method: str) -> bool:
        chosen = self.predict(case, method)
        return bare(chosen["address"]) in case.internal

    def table(self, case: Case) -> list[dict[str, Any]]:
        """Return what each of ``methods`` would choose on a node, [] if its NICs are not known."""
        if case.view.nics is None:
            return []
        rows = []
        for method in self.methods:
            chosen = self.predict(case, method)
            rows.append(
                {
                    "method": method,
                    "address": chosen["address"],
                    "interface": chosen["interface"],
                    "reason": chosen["reason"],
                    "internal_ip": bare(chosen["address"]) in case.internal,
                    "in_use": method == case.method,
                }
            )
        return rows
