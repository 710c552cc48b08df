# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say which Services a node is asked for, before and after kube-proxy is removed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_proxy_removal_probes
short_description: Say which Services a node is asked for, before and after kube-proxy is removed
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Takes some Services of each kind in each IP family that they have, and the NodePorts at the node's own addresses.
positional: cluster, host, antrea, api_server
options:
  _input:
    description: RV(k8snet.cni.kube_proxy_info#module:kube_proxy).
    type: dict
    required: true
  cluster:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  host:
    description: The inventory host, as P(k8snet.cni.audit_findings#filter) takes it; empty where none is meant.
    type: dict
    required: true
  antrea:
    description: RV(k8snet.cni.antrea_info#module:antrea).
    type: dict
    required: true
  api_server:
    description: URL by which agents and controller are to reach the API; empty for Antrea's own, or the only server there is.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Ask the node's Services
  k8snet.cni.service_probe:
    connections: "{{ (kube_proxy | k8snet.cni.kube_proxy_removal_probes(k8snet_cluster, host, antrea)).connections }}"
"""

RETURN = r"""
_value:
  description:
    - C(connections) and C(dns) for M(k8snet.cni.service_probe), C(reach) for M(k8snet.cni.node_facts), C(url) (the API server's),
      and C(api) (whether that is a URL).
  type: dict
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_probes as domain


def kube_proxy_removal_probes(
    kube_proxy: Any, cluster: Any, host: Any, antrea: Any, api_server: Any = ""
) -> dict[str, Any]:
    """Return what a node is asked."""
    found = domain.ways(plain(kube_proxy), plain(antrea), str(api_server or ""))
    if host:
        found.update(domain.probes(plain(kube_proxy), plain(cluster), plain(host)))
    return found


class FilterModule:
    """Filters of the role kube_proxy_removal."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"kube_proxy_removal_probes": kube_proxy_removal_probes}
