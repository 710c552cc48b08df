# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What antrea_info returns: Antrea's objects joined. Pure, the time is given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_rules, _yaml_text
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_api import api_servers
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_config import (
    Have,
    config_of,
    restart_due,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import (
    ALL,
    GATES,
    Config,
    Problem,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import FILES
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import Change
from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_antrea import settings_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_calico import image_version
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ownership import owner_of

AGENT_CONTAINER, CONTROLLER_CONTAINER = "antrea-agent", "antrea-controller"
VOLUME = "antrea-config"
_SETTINGS = (
    "proxy_all",
    "kube_apiserver_override",
    "traffic_encap_mode",
    "ovs_bridge",
    "transport_interface",
    "transport_interface_cidrs",
    "secondary_network",
)


def runs(obj: Obj, container: str) -> bool:
    """Tell whether a DaemonSet or Deployment runs a container of this name."""
    return any(c.get("name") == container for c in _pod(obj).get("containers") or ())


def _pod(obj: Obj) -> Obj:
    return ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}


def config_map_names(workload: Obj) -> list[str]:
    """Return the ConfigMaps that a workload mounts, the likeliest one first.

    The volume's name stays the same where the ConfigMap's bears a hash (up to v1.6).
    """
    mounted = [
        (volume.get("name") != VOLUME, str(volume["configMap"]["name"]))
        for volume in _pod(workload).get("volumes") or ()
        if (volume.get("configMap") or {}).get("name")
    ]
    return [name for _other, name in sorted(mounted, key=lambda pair: pair[0])]


def version_of(workload: Obj | None, container: str) -> str | None:
    """Return the version that the image of a container names."""
    for found in _pod(workload or {}).get("containers") or ():
        if found.get("name") == container:
            return image_version(found.get("image"))
    return None


def started(pods: list[Obj]) -> dict[str, str | None]:
    """Return component -> when the oldest of its pods was made, None if there is none.

    A container that starts again in an old pod may still find the old file: kubelet brings mounted
    files up to date a minute or two later. Only a new pod is sure to read the new one.
    """
    found = {}
    for component in FILES:
        own = _of(pods, f"antrea-{component}")
        times = [str(pod["metadata"].get("creationTimestamp")) for pod in own]
        found[component] = min(times, default=None)
    return found


def compose(raw: dict[str, Any]) -> dict[str, Any]:
    """Return ``antrea``, documented key by key in antrea_info.

    ``raw``: daemonset, deployment, config_map (whole or None), pods, agent_infos,
    controller_infos, node_configs (whole; None: not served or not readable), attachments (bool or
    None), api_endpoints (EndpointSlice or None), server (URL), now (UTC), permissions, errors,
    requests.
    """
    daemonset, config_map = raw["daemonset"], raw["config_map"]
    infos = {node_of(info): info for info in raw["agent_infos"] or ()}
    told = sorted({str(i.get("version")) for i in infos.values() if i.get("version")})
    version = version_of(daemonset, AGENT_CONTAINER) or (told[-1] if told else None)
    have = None
    if config_map is not None:
        have = Have(config_map, version, raw["attachments"], started(raw["pods"]))
    meta = (daemonset or {}).get("metadata") or {}
    configuration = _configuration(have, raw)
    override = configuration["kube_apiserver_override"]
    return {
        "installed": daemonset is not None,
        "version": version,
        "versions": told,
        "namespace": meta.get("namespace"),
        "daemonset": {k: meta.get(k) for k in ("namespace", "name")} if daemonset else None,
        "update_strategy": _strategy(daemonset),
        "config_map": _config_map(config_map),
        **configuration,
        "api_servers": api_servers(override, raw["api_endpoints"], raw["server"]),
        "served": {
            "node_configs": None if raw["node_configs"] is None else True,
            "attachments": raw["attachments"],
        },
        "agents": [_agent(pod, infos, raw["now"]) for pod in _of(raw["pods"], AGENT_CONTAINER)],
        "controller": _controller(raw),
        "restart_due": restart_due(have, Change(Plan())) if have else None,
        "owner": owner_of(config_map) if config_map else None,
        "permissions": raw["permissions"],
        "errors": raw["errors"],
        "requests": raw["requests"],
    }


def _strategy(daemonset: Obj | None) -> str | None:
    spec = (daemonset or {}).get("spec") or {}
    found: str | None = (spec.get("updateStrategy") or {}).get("type")
    return found or ("RollingUpdate" if daemonset else None)


def _config_map(config_map: Obj | None) -> Obj | None:
    if config_map is None:
        return None
    data, meta = config_map.get("data") or {}, config_map["metadata"]
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "text": {component: data.get(file) for component, file in FILES.items()},
        "object": config_map,
    }


def _configuration(have: Have | None, raw: dict[str, Any]) -> dict[str, Any]:
    blank: Obj = {
        "config": dict.fromkeys(FILES),
        **dict.fromkeys(_SETTINGS),
        "gates": {},
        "problems": [],
        "error": None,
    }
    bridges: Obj = {
        "bridges": [],
        "source": None,
        "node_configs": _node_configs(raw["node_configs"]),
    }
    if have is None:
        return {**blank, "secondary_network": bridges}
    try:
        config = config_of(have)
    except _yaml_text.TextError as error:
        return {**blank, "secondary_network": bridges, "error": str(error)}
    agent = config.documents.get("agent") or {}
    known = settings_of(agent)
    static = known["secondary_bridges"]
    if static:
        bridges = {**bridges, "bridges": static, "source": "static"}
    elif any(found["bridges"] for found in bridges["node_configs"] or ()):
        bridges = {**bridges, "source": "nodeconfig"}
    return {
        **blank,
        "config": {component: config.documents.get(component) for component in FILES},
        **{key: known[key] for key in known if key in _SETTINGS},
        "transport_interface": agent.get("transportInterface") or None,
        "transport_interface_cidrs": agent.get("transportInterfaceCIDRs") or [],
        "secondary_network": bridges,
        "gates": gates_of(config),
        "problems": [_problem(found) for found in _antrea_rules.problems(config)],
    }


def gates_of(config: Config) -> dict[str, Any]:
    """Return every gate that the version or a file knows."""
    names = {
        str(name)
        for document in config.documents.values()
        for name in (document.get(GATES) or {})
        if isinstance(document.get(GATES), dict) and name not in ALL
    }
    found = {}
    for name in sorted({*tables.gates(), *names}):
        gate = tables.gate(name, config.version)
        known = gate is not None and gate.stage is not None
        if not known and name not in names:
            continue
        components = gate.components if gate else tuple(FILES)
        effective = {c: config.enabled(c, name) for c in components}
        found[name] = {
            "known": known,
            "components": list(components),
            "stage": gate.stage if gate else None,
            "default": gate.default if gate and known else None,
            "locked": bool(gate and gate.locked),
            "configured": {c: config.configured(c, name) for c in FILES},
            "effective": effective,
            "enabled": known and all(effective.values()),
        }
    return found


def _problem(found: Problem) -> Obj:
    return {
        "component": found.component,
        "path": found.path,
        "line": found.line,
        "text": found.text,
        "what": found.what,
        "remedy": found.remedy,
        "level": found.level,
    }


def _node_configs(objects: list[Obj] | None) -> list[Obj] | None:
    if objects is None:
        return None
    found = []
    for obj in objects:
        spec = obj.get("spec") or {}
        bridges = (spec.get("secondaryNetwork") or {}).get("ovsBridges") or []
        found.append(
            {
                "name": obj["metadata"]["name"],
                "node_selector": spec.get("nodeSelector") or {},
                "bridges": [
                    {
                        "name": b.get("bridgeName"),
                        # Objects with a name, unlike in agent.conf.
                        "interfaces": [n["name"] for n in b.get("physicalInterfaces") or ()],
                    }
                    for b in bridges
                ],
                "created": obj["metadata"].get("creationTimestamp"),
                "object": obj,
            }
        )
    return found


def node_of(info: Obj) -> str:
    """Return the Node of an AntreaAgentInfo."""
    return str((info.get("nodeRef") or {}).get("name") or info["metadata"]["name"])


def _of(pods: list[Obj], container: str) -> list[Obj]:
    found = [p for p in pods if runs({"spec": {"template": p}}, container)]
    return sorted(found, key=lambda p: str((p.get("spec") or {}).get("nodeName")))


def pod_facts(pod: Obj, container: str) -> dict[str, Any]:
    """Return what matters of one pod: names, whether it is ready, since when its process runs."""
    status = pod.get("status") or {}
    ready = [c.get("status") for c in status.get("conditions") or () if c.get("type") == "Ready"]
    states = [s for s in status.get("containerStatuses") or () if s.get("name") == container]
    running = ((states[0].get("state") or {}).get("running") or {}) if states else {}
    waiting = ((states[0].get("state") or {}).get("waiting") or {}) if states else {}
    return {
        "node": (pod.get("spec") or {}).get("nodeName"),
        "pod": pod["metadata"]["name"],
        "uid": pod["metadata"].get("uid"),
        "ready": ready == ["True"] and not pod["metadata"].get("deletionTimestamp"),
        "restarts": sum(int(s.get("restartCount") or 0) for s in states),
        "created_at": pod["metadata"].get("creationTimestamp"),
        "started_at": running.get("startedAt"),
        "waiting": waiting.get("reason"),
    }


def _agent(pod: Obj, infos: dict[str, Obj], now: datetime) -> dict[str, Any]:
    facts = pod_facts(pod, AGENT_CONTAINER)
    info = infos.get(str(facts["node"])) or {}
    beat = heartbeat(info)
    return {
        **facts,
        "version": info.get("version"),
        "heartbeat": beat,
        "heartbeat_age_seconds": age(beat, now),
        "conditions": {
            str(c.get("type")): c.get("status") == "True" for c in info.get("agentConditions") or ()
        },
        "ovs": {
            "version": (info.get("ovsInfo") or {}).get("version"),
            "bridge": (info.get("ovsInfo") or {}).get("bridgeName"),
            "flows": sum(((info.get("ovsInfo") or {}).get("flowTable") or {}).values()),
        },
        "local_pods": info.get("localPodNum"),
    }


def heartbeat(info: Obj) -> str | None:
    """Return the newest lastHeartbeatTime of an AntreaAgentInfo or AntreaControllerInfo.

    AgentHealthy says True always; only its time tells whether the agent lives.
    """
    conditions = info.get("agentConditions") or info.get("controllerConditions") or ()
    times = [str(c["lastHeartbeatTime"]) for c in conditions if c.get("lastHeartbeatTime")]
    return max(times, default=None)


def age(time: str | None, now: datetime) -> float | None:
    """Return the seconds since an RFC 3339 time, None without one."""
    if not time:
        return None
    then = datetime.fromisoformat(time.replace("Z", "+00:00"))
    return round((now - then).total_seconds(), 1)


def _controller(raw: dict[str, Any]) -> dict[str, Any] | None:
    deployment = raw["deployment"]
    if deployment is None:
        return None
    info: Obj = next(iter(raw["controller_infos"] or ()), {})
    meta, status = deployment["metadata"], deployment.get("status") or {}
    beat = heartbeat(info)
    return {
        "namespace": meta.get("namespace"),
        "name": meta.get("name"),
        "version": version_of(deployment, CONTROLLER_CONTAINER) or info.get("version"),
        "ready": int(status.get("readyReplicas") or 0) > 0,
        "pods": [
            pod_facts(p, CONTROLLER_CONTAINER) for p in _of(raw["pods"], CONTROLLER_CONTAINER)
        ],
        "heartbeat": beat,
        "heartbeat_age_seconds": age(beat, raw["now"]),
    }
