# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell whether Services have their address from the pool that they name."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_features_served
short_description: Tell whether Services have their address from the ExternalIPPool that they name
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - An address in the status may be of another load balancer. It counts if it lies in the ranges of the pool of the annotation
    C(service.antrea.io/external-ip-pool).
positional: pools
options:
  _input:
    description: Services as the API has them.
    type: list
    elements: dict
    required: true
  pools:
    description: ExternalIPPools as the API has them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Wait for the address
  kubernetes.core.k8s_info:
    kind: Service
    namespace: shop
    name: web
  register: service
  until: service.resources | k8snet.cni.antrea_features_served(pools.resources)
"""

RETURN = r"""
_value:
  description: Whether there is one, and each is served.
  type: bool
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _feature_marks as domain


def antrea_features_served(services: Any, pools: Any) -> bool:
    """Tell it. Raises AnsibleFilterError on wrong input."""
    services, pools = plain(services), plain(pools)
    if not isinstance(services, list) or not isinstance(pools, list):
        raise AnsibleFilterError("antrea_features_served: input and pools must be lists.")
    try:
        return bool(services) and all(domain.served(service, pools) for service in services)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AnsibleFilterError(
            f"antrea_features_served: the input is not complete ({type(error).__name__} {error})."
        ) from error


class FilterModule:
    """Filters of the role antrea_features."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_features_served": antrea_features_served}
