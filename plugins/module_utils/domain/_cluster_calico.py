# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Calico is installed and which address autodetection it runs, per family. Pure.

What calico-node runs with is in the environment of its DaemonSet. With an operator install, what
somebody asked for is in the Installation; the operator turns one into the other. Both are told,
since they differ while a roll-out is under way and when the operator refuses to act.
"""

from __future__ import annotations

import re
from typing import Any

# Fields of NodeAddressAutodetection (operator.tigera.io/v1) in the order the operator's Go type
# lists them; exactly one may be set.
METHOD_FIELDS = ("firstFound", "kubernetes", "interface", "skipInterface", "canReach", "cidrs")
_ENV_WANTED = (
    "IP",
    "IP6",
    "IP_AUTODETECTION_METHOD",
    "IP6_AUTODETECTION_METHOD",
    "AUTODETECT_POLL_INTERVAL",
    "CALICO_NETWORKING_BACKEND",
    "DATASTORE_TYPE",
)
_DEFAULT_METHOD = "first-found"


def calico_facts(
    daemonsets: list[dict[str, Any]] | None,
    installations: list[dict[str, Any]] | None,
    ip_pools: list[dict[str, Any]] | None,
    config_maps: dict[str, dict[str, str]],
) -> dict[str, Any]:
    """Return ``k8snet_cluster.calico`` (documented in cluster_info).

    ``daemonsets`` None: could not be read, so ``install`` is None unless an Installation tells.
    """
    found = [d for d in daemonsets or () if d["component"] in ("calico", "canal")]
    install = _install(found, installations, known=daemonsets is not None)
    ds = _running(found, install)
    env = _environment(ds, config_maps)
    installation = _effective_installation(installations)
    image = ds["containers"].get("calico-node", {}).get("image") if ds else None
    return {
        "install": install,
        "version": image_version(image),
        "image": image,
        "daemonset": {"namespace": ds["namespace"], "name": ds["name"]} if ds else None,
        "installation": installation,
        "env": env,
        "methods": {
            f"v{family}": _method(family, install, ds, env, installation) for family in (4, 6)
        },
        "poll_interval": duration_seconds(env["AUTODETECT_POLL_INTERVAL"]["value"] or "60s"),
        "backend": env["CALICO_NETWORKING_BACKEND"]["value"] or None,
        "datastore": env["DATASTORE_TYPE"]["value"] or "kubernetes",
        "canal_interface": _canal_interface(ds, config_maps),
        "ip_pools": ip_pools,
    }


def _install(
    found: list[dict[str, Any]], installations: list[dict[str, Any]] | None, known: bool
) -> str | None:
    """Return operator, manifest, canal, migration, none, or None when it cannot be told."""
    if any(d["component"] == "canal" for d in found):
        return "canal"
    operated = any(i["name"] == "default" for i in installations or ())
    by_operator = [d for d in found if d["namespace"] == "calico-system"]
    if operated:
        return "migration" if len(found) > len(by_operator) else "operator"
    if found:
        # Without permission to read Installations, the operator's namespace still tells.
        return "operator" if by_operator and installations is None else "manifest"
    return "none" if known else None


def _running(found: list[dict[str, Any]], install: str | None) -> dict[str, Any] | None:
    """Return the DaemonSet that counts: during a migration the one the operator made."""
    if install in ("operator", "migration"):
        found = sorted(found, key=lambda d: d["namespace"] != "calico-system")
    return found[0] if found else None


def _environment(
    ds: dict[str, Any] | None, config_maps: dict[str, dict[str, str]]
) -> dict[str, dict[str, Any]]:
    """Return name -> {state, value, from}; state is set, empty or absent, or unknown."""
    env: dict[str, dict[str, Any]] = {
        name: {"state": "absent", "value": None, "from": None} for name in _ENV_WANTED
    }
    container = (ds or {"containers": {}})["containers"].get("calico-node") or {"env": []}
    for entry in container["env"]:  # the last of several entries of one name counts
        if entry.get("name") in env:
            env[entry["name"]] = _env_value(entry, ds or {}, config_maps)
    return env


def _env_value(
    entry: dict[str, Any], ds: dict[str, Any], config_maps: dict[str, dict[str, str]]
) -> dict[str, Any]:
    ref = (entry.get("valueFrom") or {}).get("configMapKeyRef")
    if ref:
        source = f"ConfigMap {ds['namespace']}/{ref.get('name')} key {ref.get('key')}"
        data = config_maps.get(f"{ds['namespace']}/{ref.get('name')}")
        if data is None:
            return {"state": "unknown", "value": None, "from": source}
        if ref.get("key") not in data:
            return {"state": "absent", "value": None, "from": source}
        value = data[ref["key"]]
    elif entry.get("valueFrom"):
        return {"state": "unknown", "value": None, "from": "valueFrom"}
    else:
        value, source = entry.get("value") or "", None
    return {"state": "set" if value else "empty", "value": value, "from": source}


def _effective_installation(installations: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Return the Installation's detection fields with ``overlay`` resolved, None if there is none.

    V4 and V6 are the raw objects; ``present_v4`` tells an absent field (False) from null or {}.
    """
    by_name = {i["name"]: i for i in installations or ()}
    base = by_name.get("default")
    if base is None:
        return None
    result: dict[str, Any] = {
        "name": "default",
        "generation": base["generation"],
        "has_calico_network": base["calico_network"] is not None,
        "overlay": "overlay" in by_name,
    }
    for family in (4, 6):
        field = f"nodeAddressAutodetectionV{family}"
        source = base
        overlay = by_name.get("overlay")
        if overlay and (overlay["calico_network"] or {}).get(field) is not None:
            source = overlay
        network = source["calico_network"] or {}
        value = network.get(field)
        result[f"v{family}"] = value
        result[f"present_v{family}"] = field in network
        result[f"from_v{family}"] = source["name"]
        result[f"methods_set_v{family}"] = methods_set(value)
    return result


def methods_set(value: dict[str, Any] | None) -> list[str]:
    """Return which method fields of a NodeAddressAutodetection are in effect.

    ``firstFound: false`` and empty values count as not set, as they do for the operator.
    """
    return [f for f in METHOD_FIELDS if (value or {}).get(f)]


def method_words(value: dict[str, Any] | None) -> str | None:
    """Return an operator's V4/V6 object in Calico's words; None where it sets no method.

    Of several set, the first in `METHOD_FIELDS` is returned; the operator itself refuses them.
    Source: tigera/operator, getAutodetectionMethod.
    """
    fields = methods_set(value)
    if not fields or value is None:
        return None
    field = fields[0]
    if field == "firstFound":
        return _DEFAULT_METHOD
    if field == "kubernetes":
        return "kubernetes-internal-ip"
    if field == "cidrs":
        return "cidr=" + ",".join(str(c) for c in value["cidrs"])
    words = {"interface": "interface", "skipInterface": "skip-interface", "canReach": "can-reach"}
    return f"{words[field]}={value[field]}"


def _method(
    family: int,
    install: str | None,
    ds: dict[str, Any] | None,
    env: dict[str, dict[str, Any]],
    installation: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return what detects this family's address and who said so."""
    prefix = "IP" if family == 4 else "IP6"
    ip, variable = env[prefix], env[f"{prefix}_AUTODETECTION_METHOD"]
    declared = installation[f"v{family}"] if installation else None
    running = variable["value"] or _DEFAULT_METHOD
    mode = _ip_mode(family, ip)
    where = f"{ds['namespace']}/{ds['name']}" if ds else None
    if ds is None:
        # An absent V4 gets the operator's default, an absent V6 and an empty object mean IP=none.
        off = not methods_set(declared) and (family == 6 or declared is not None)
        running, mode = method_words(declared) or _DEFAULT_METHOD, "off" if off else "unknown"
        source = f"Installation {installation[f'from_v{family}']}" if installation else None
    elif variable["state"] in ("set", "unknown"):
        source = f"DaemonSet {where}, {prefix}_AUTODETECTION_METHOD"
    else:
        source = f"Calico's default ({prefix}_AUTODETECTION_METHOD is {variable['state']})"
    if ds is not None and variable["state"] == "unknown":
        mode = "unknown"
    detects = install not in ("canal", "none", None) and mode in ("autodetect", "once")
    return {
        "method": running if detects or mode == "unknown" else None,
        "mode": mode if install not in ("canal", "none") else "off",
        "detects": detects,
        "explicit": running != _DEFAULT_METHOD,
        "source": source,
        "declared": method_words(declared),
        "methods_set": installation[f"methods_set_v{family}"] if installation else [],
    }


def _ip_mode(family: int, ip: dict[str, Any]) -> str:
    """Return autodetect, once (only while nothing is stored), off, fixed or unknown.

    Source: Calico, node/pkg/lifecycle/startup/startup.go (configureIPsAndSubnets).
    """
    if ip["state"] == "unknown":
        return "unknown"
    value = ip["value"] or ""
    if value == "autodetect":
        return "autodetect"
    if value == "":
        return "once" if family == 4 else "off"
    return "off" if value.lower() == "none" else "fixed"


def _canal_interface(
    ds: dict[str, Any] | None, config_maps: dict[str, dict[str, str]]
) -> str | None:
    """Return canal_iface of Canal's ConfigMap; "" means the default route's device."""
    if ds is None or ds["component"] != "canal":
        return None
    for entry in ds["containers"].get("kube-flannel", {"env": []})["env"]:
        ref = (entry.get("valueFrom") or {}).get("configMapKeyRef") or {}
        if entry.get("name") == "FLANNELD_IFACE":
            data = config_maps.get(f"{ds['namespace']}/{ref.get('name')}") or {}
            return data.get(ref.get("key") or "")
    return None


def image_version(image: str | None) -> str | None:
    """Return ``v3.28.2`` of ``registry:5000/calico/node:v3.28.2@sha256:..``, None if untold."""
    match = re.search(r":(v?\d+\.\d+[^/@:]*)(@|$)", image or "")
    return match.group(1) if match else None


def duration_seconds(text: str) -> float | None:
    """Return the seconds of a Go duration ("90s", "1m30s", "500ms"), None if it is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)", text)
    if not parts or "".join(n + u for n, u in parts) != text.lstrip("+"):
        return 0.0 if text.strip() == "0" else None
    return sum(float(number) * units[unit] for number, unit in parts)
