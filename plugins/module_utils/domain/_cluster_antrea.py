# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the audit needs to know of Antrea: installed, version, and the settings it runs with. Pure.

antrea-agent.conf is YAML inside a ConfigMap, mostly comments: whole blocks parse as null where
every line of theirs is commented out, and defaults are not written down.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_calico import image_version
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml import parse_yaml


def antrea_facts(
    daemonsets: list[dict[str, Any]] | None, config_maps: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Return ``k8snet_cluster.antrea``; ``installed`` None: DaemonSets could not be read.

    Settings are null while the ConfigMap could not be read or parsed; ``error`` says why.
    """
    ds = next((d for d in daemonsets or () if d["component"] == "antrea"), None)
    image = ds["containers"].get("antrea-agent", {}).get("image") if ds else None
    facts: dict[str, Any] = {
        "installed": None if daemonsets is None else ds is not None,
        "namespace": ds["namespace"] if ds else None,
        "daemonset": ds["name"] if ds else None,
        "image": image,
        "version": image_version(image),
        "config_map": None,
        "proxy_all": None,
        "kube_apiserver_override": None,
        "traffic_encap_mode": None,
        "ovs_bridge": None,
        "secondary_bridges": None,
        "feature_gates": None,
        "error": None,
    }
    if ds is None:
        return facts
    # The name carries a hash up to v1.6: only the volume tells which ConfigMap is in use.
    name = next(
        (n for n in ds["config_maps"] if "antrea-agent.conf" in _data(ds, n, config_maps)),
        next((n for n in ds["config_maps"] if n.startswith("antrea-config")), None),
    )
    facts["config_map"] = name
    facts.update(_settings(_data(ds, name or "", config_maps).get("antrea-agent.conf"), name))
    return facts


def _data(ds: dict[str, Any], name: str, config_maps: dict[str, dict[str, str]]) -> dict[str, str]:
    return config_maps.get(f"{ds['namespace']}/{name}") or {}


def _settings(text: str | None, name: str | None) -> dict[str, Any]:
    if text is None:
        return {"error": f"ConfigMap {name or 'antrea-config'} or its antrea-agent.conf is missing"}
    config, problem = parse_yaml(text)
    if problem:
        return {"error": f"antrea-agent.conf in ConfigMap {name} is {problem}"}
    return {**settings_of(config if isinstance(config, dict) else {}), "error": None}


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the audit and antrea_info name, of antrea-agent.conf as read."""
    gates = _mapping(config, "featureGates")
    proxy = _mapping(config, "antreaProxy")
    bridges = _mapping(config, "secondaryNetwork").get("ovsBridges") or []
    # AntreaProxy is on by default; without it proxyAll has no effect.
    proxied = _on(gates, "AntreaProxy", True) and _on(proxy, "enable", True)
    return {
        "proxy_all": proxied and _on(proxy, "proxyAll", False),
        "kube_apiserver_override": config.get("kubeAPIServerOverride") or None,
        "traffic_encap_mode": str(config.get("trafficEncapMode") or "encap"),
        "ovs_bridge": str(config.get("ovsBridge") or "br-int"),
        "secondary_bridges": [
            {
                "name": b.get("bridgeName"),
                "interfaces": list(b.get("physicalInterfaces") or ()),
            }
            for b in bridges
            if isinstance(b, dict)
        ],
        "feature_gates": {str(k): bool(v) for k, v in gates.items()},
    }


def _mapping(config: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a block, {} where it is absent or null because all its lines are comments."""
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _on(block: dict[str, Any], key: str, default: bool) -> bool:
    value = block.get(key)
    return default if value is None else bool(value)
