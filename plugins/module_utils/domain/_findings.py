# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit: cluster facts and node facts in, findings out. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _findings_calico,
    _findings_calico_config,
    _findings_nodes,
    _findings_scope,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_case import (
    Family,
    families,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    Finding,
    worst_first,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import Scope, match

# vswitchd runs with the flag for that long while an agent starts, image pull of the agent included.
FLOW_RESTORE_MIN_AGE = 180


def audit(
    cluster: dict[str, Any], hosts: list[dict[str, Any]], options: dict[str, Any] | None = None
) -> list[Finding]:
    """Return all findings, the worst first.

    ``cluster``: ``k8snet_cluster`` of cluster_info. ``hosts``: see `_nodes.match`. ``options``:
    ``accept_unseen`` (names of nodes that may go unseen, also with commas between),
    ``flow_restore_min_age`` (seconds), ``limited`` (whether --limit was given; True).
    """
    scope = match(hosts, cluster["nodes"])
    return audit_scope(cluster, hosts, scope, families(cluster, scope), options or {})


def audit_scope(
    cluster: dict[str, Any],
    hosts: list[dict[str, Any]],
    scope: Scope,
    both: dict[int, Family],
    options: dict[str, Any],
) -> list[Finding]:
    """Return the findings of hosts that were joined with Nodes already."""
    unseen = options.get("accept_unseen") or ()
    if isinstance(unseen, str):  # -e k8snet_accept_unseen=node1,node2 is a string to Ansible
        unseen = [name.strip() for name in unseen.split(",")]
    accepted = {str(name) for name in unseen}
    min_age = options.get("flow_restore_min_age")
    min_age = FLOW_RESTORE_MIN_AGE if min_age is None else int(min_age)
    limited = bool(options.get("limited", True))
    calico = _findings_calico.calico(both)
    explained = _findings_calico.explained_nics(calico)
    return worst_first(
        [
            *_findings_scope.access(cluster),
            *_findings_scope.scope_states(cluster, scope, accepted, hosts, limited),
            *calico,
            *_findings_calico_config.calico_config(cluster, both),
            *_findings_nodes.nic_drift(scope, explained),
            *_findings_nodes.ovs(cluster, scope, min_age),
            *_findings_nodes.kube_proxy(cluster, scope),
        ]
    )
