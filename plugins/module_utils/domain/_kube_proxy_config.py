# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy's config.conf and kubeadm's ClusterConfiguration, read and edited as text. Pure.

Comments and order stay. kubeconfig.conf beside them may hold credentials, which nobody is shown.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _yaml_text
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

CONF = "config.conf"
KUBECONFIG = "kubeconfig.conf"
CLUSTER = "ClusterConfiguration"
DISABLED = ("proxy", "disabled")
STRICT_ARP = ("ipvs", "strictARP")
HIDDEN = "(hidden by k8snet.cni)"

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SECRETS = ("token", "password", "client-key-data", "id-token", "refresh-token", "access-token")
# Rather too much than too little: a value without quotes goes up to the end of its line.
_SECRET = re.compile(
    r"(?P<key>(?<![\w-])[\"']?(?:" + "|".join(_SECRETS) + r")[\"']?[ \t]*:\s*)(?!\(hidden by )"
    r"(?P<value>[|>][^\n]*(?:\n(?:[ \t]+[^\n]*)?)+|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"'][^\n]*)"
)


def read(config_map: Obj | None) -> Obj:
    """Return what config.conf says: mode, strict_arp, cluster_cidr, node_port_addresses, errors."""
    found: Obj = {
        "mode": "",
        "strict_arp": None,
        "cluster_cidr": "",
        "node_port_addresses": [],
        "errors": [],
    }
    if config_map is None:
        return found
    text = (config_map.get("data") or {}).get(CONF)
    name = config_map["metadata"]["name"]
    if text is None:
        return {**found, "errors": [f"ConfigMap {name} holds no {CONF}"]}
    try:
        document = _yaml_text.parse(text)
    except _yaml_text.TextError as error:
        return {**found, "errors": [f"{CONF} in ConfigMap {name}: {error}"]}
    ipvs = document.get("ipvs")
    return {
        "mode": str(document.get("mode") or ""),
        "strict_arp": bool((ipvs if isinstance(ipvs, dict) else {}).get("strictARP")),
        "cluster_cidr": str(document.get("clusterCIDR") or ""),
        "node_port_addresses": list(document.get("nodePortAddresses") or []),
        "errors": [],
    }


def with_strict_arp(config_map: Obj, value: bool) -> str:
    """Return config.conf with ipvs.strictARP; unchanged, byte by byte, where it is so already.

    Raises `Refused`.
    """
    name = config_map["metadata"]["name"]
    text = (config_map.get("data") or {}).get(CONF)
    if text is None:
        raise Refused(
            f"Refused to set strictARP: ConfigMap {name} holds no {CONF}. Is kube-proxy configured "
            "by flags? Then set --ipvs-strict-arp there."
        )
    current = read(config_map)
    if current["errors"]:
        raise Refused(f"Refused to set strictARP: {current['errors'][0]}.")
    if current["strict_arp"] == value:
        return str(text)
    return _edited(text, {STRICT_ARP: value}, f"{CONF} in ConfigMap {name}")


def cluster_configuration(config_map: Obj | None) -> tuple[Any, str | None]:
    """Return (ClusterConfiguration, None), or (None, why it cannot be read)."""
    text = ((config_map or {}).get("data") or {}).get(CLUSTER)
    if text is None:
        return None, None
    try:
        return _yaml_text.parse(text), None
    except _yaml_text.TextError as error:
        return None, f"{CLUSTER} in ConfigMap kubeadm-config: {error}"


def disabled(text: str) -> str:
    """Return a ClusterConfiguration with proxy.disabled: true. Raises `Refused`."""
    return _edited(text, {DISABLED: True}, f"{CLUSTER} in ConfigMap kubeadm-config")


def enabled_again(text: str, former: str | None) -> str:
    """Return a ClusterConfiguration with proxy.disabled as it was in ``former``. Raises `Refused`.

    Where nothing else was changed since, that is ``former``, byte by byte. None: it was not set.
    """
    value: Any = None
    if former is not None:
        try:
            if disabled(former) == text:
                return former
            proxy = _yaml_text.parse(former).get("proxy")
        except (Refused, _yaml_text.TextError):
            proxy = None
        value = proxy.get("disabled") if isinstance(proxy, dict) else None
    if value is True:
        return disabled(text)
    return _edited(text, {DISABLED: value}, f"{CLUSTER} in ConfigMap kubeadm-config")


def _edited(text: str, changes: dict[tuple[str, str], Any], where: str) -> str:
    try:
        for (parent, key), value in changes.items():
            document = _yaml_text.parse(text)
            null = parent in document and document[parent] is None
            if null and value is not None:
                # "ipvs: null" has no place for a key.
                text = _yaml_text.put(text, (parent,), {key: value})
            else:
                text = _yaml_text.edit(text, {(parent, key): value})
        return text
    except _yaml_text.TextError as error:
        raise Refused(f"Refused to change {where}: {error}.") from None


def mask(text: str) -> str:
    """Return a kubeconfig without the values that are credentials."""
    return _SECRET.sub(lambda m: m["key"] + HIDDEN + ("\n" if m["value"][-1] == "\n" else ""), text)


def masked(obj: Obj) -> Obj:
    """Return a ConfigMap as it may be shown; the same one where it holds no credentials."""
    data = obj.get("data") or {}
    clean = {name: mask(text) if name != CONF else text for name, text in data.items()}
    if obj.get("kind") != "ConfigMap" or clean == data:
        return obj
    shown = copy.deepcopy(obj)
    shown["data"] = clean
    # It repeats the data.
    (shown["metadata"].get("annotations") or {}).pop(_LAST_APPLIED, None)
    return shown


def holds_secrets(obj: Obj) -> bool:
    """Tell whether a ConfigMap holds credentials, or did when it was masked."""
    data = (obj.get("data") or {}).values()
    return masked(obj) is not obj or any(HIDDEN in str(text) for text in data)
