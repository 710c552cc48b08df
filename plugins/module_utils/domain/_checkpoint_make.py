# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words behind ``ip link add name X`` that make a link as it was. Pure.

Input is what ``ip -j -d link`` says of it (iproute2: ip/iplink_bond.c, ip/iplink_bridge.c,
ip/iplink_vlan.c). Only what is not the kernel's default is named: each word that an older kernel
does not know, or that a bond's mode does not allow, would keep the whole link from being made.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_LACP = ("802.3ad",)
_ONE_ACTIVE = ("active-backup", "balance-tlb", "balance-alb")


class _Option(NamedTuple):
    """``key`` of the JSON; the kernel's ``default``; the ``word`` of the command, if another;
    the ``modes`` of a bond that take it, if not all."""

    key: str
    default: Any
    word: str = ""
    modes: tuple[str, ...] = ()


_BOND = (
    _Option("updelay", 0),
    _Option("downdelay", 0),
    _Option("peer_notify_delay", 0),
    _Option("use_carrier", 1),
    _Option("primary", None, modes=_ONE_ACTIVE),
    _Option("primary_reselect", "always", modes=_ONE_ACTIVE),
    _Option("fail_over_mac", "none"),
    _Option("xmit_hash_policy", "layer2"),
    _Option("resend_igmp", 1),
    _Option("num_peer_notif", 1, "num_grat_arp"),
    _Option("all_slaves_active", 0),
    _Option("min_links", 0),
    _Option("lp_interval", 1),
    _Option("packets_per_slave", 1, modes=("balance-rr",)),
    _Option("tlb_dynamic_lb", 1, modes=("balance-tlb", "balance-alb")),
    _Option("ad_lacp_active", "on", "lacp_active", _LACP),
    _Option("ad_lacp_rate", "slow", "lacp_rate", _LACP),
    _Option("ad_select", "stable", modes=_LACP),
    _Option("ad_actor_sys_prio", 65535, modes=_LACP),
    _Option("ad_user_port_key", 0, modes=_LACP),
    _Option("ad_actor_system", "00:00:00:00:00:00", modes=_LACP),
    _Option("coupled_control", True, modes=_LACP),
)
_BOND_ARP = (
    _Option("arp_interval", 0),
    _Option("arp_ip_target", []),
    _Option("ns_ip6_target", []),
    _Option("arp_validate", None),
    _Option("arp_all_targets", "any"),
    _Option("arp_missed_max", 2),
)
_BRIDGE = (
    _Option("forward_delay", 1500),
    _Option("hello_time", 200),
    _Option("max_age", 2000),
    _Option("ageing_time", 30000),
    _Option("priority", 32768),
    _Option("vlan_protocol", "802.1Q"),
    _Option("vlan_default_pvid", 1),
    _Option("vlan_filtering", 0),
    _Option("vlan_stats_enabled", 0),
    _Option("vlan_stats_per_port", 0),
    _Option("group_fwd_mask", "0"),
    _Option("mcast_snooping", 1),
    _Option("mcast_router", 1),
    _Option("mcast_querier", 0),
    _Option("mcast_query_use_ifaddr", 0),
    _Option("mcast_igmp_version", 2),
    _Option("mcast_mld_version", 1),
    _Option("nf_call_iptables", 0),
    _Option("nf_call_ip6tables", 0),
    _Option("nf_call_arptables", 0),
)
_VLAN_FLAGS = ("GVRP", "MVRP", "LOOSE_BINDING", "BRIDGE_BINDING")


def words(kind: str, parent: str | None, data: dict[str, Any]) -> list[str] | None:
    """Return the words; None for kinds that somebody else makes.

    :param data: ``linkinfo.info_data`` of the link.
    """
    lower = ["link", parent] if parent else []
    if kind == "bond":
        return [*lower, "type", kind, *_bond(data)]
    if kind == "bridge":
        return [*lower, "type", kind, *_stp(data), *_named(_BRIDGE, data)]
    if kind == "dummy":
        return [*lower, "type", kind]
    if kind == "vrf":
        return [*lower, "type", kind, *_always(("table",), data)]
    if kind == "vlan" and parent:
        return [*lower, "type", kind, *_always(("protocol", "id"), data), *_vlan(data)]
    if kind == "macvlan" and parent:
        return [*lower, "type", kind, *_always(("mode",), data)]
    return None


def _always(keys: tuple[str, ...], data: dict[str, Any]) -> list[str]:
    return [word for key in keys if key in data for word in (key, str(data[key]))]


def _named(options: tuple[_Option, ...], data: dict[str, Any], mode: str = "") -> list[str]:
    found = []
    for option in options:
        value = data.get(option.key, option.default)
        if value not in (option.default, None) and (not option.modes or mode in option.modes):
            found += [option.word or option.key, _text(value)]
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _bond(data: dict[str, Any]) -> list[str]:
    # The mode first: it tells what else is allowed. Of the two monitors there is one at a time.
    found = _always(("mode",), data)
    found += _named(_BOND_ARP, data) if data.get("arp_interval") else _always(("miimon",), data)
    return found + _named(_BOND, data, str(data.get("mode")))


def _stp(data: dict[str, Any]) -> list[str]:
    # 2 means that a daemon does it; on is all that can be asked for.
    return ["stp_state", "1"] if data.get("stp_state") else []


def _vlan(data: dict[str, Any]) -> list[str]:
    flags = data.get("flags", ["REORDER_HDR"])
    found = [] if "REORDER_HDR" in flags else ["reorder_hdr", "off"]
    return found + [w for flag in _VLAN_FLAGS if flag in flags for w in (flag.lower(), "on")]
