# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads kernel settings from /proc/sys."""

from __future__ import annotations

import os
from collections.abc import Iterable

#: What kube-proxy sets and nothing sets back (``cmd/kube-proxy``, ``pkg/proxy/{iptables,ipvs}``).
KUBE_PROXY = (
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_udp_timeout",
    "net.netfilter.nf_conntrack_udp_timeout_stream",
    "net.ipv4.conf.all.arp_announce",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.ip_forward",
    "net.ipv4.vs.conn_reuse_mode",
    "net.ipv4.vs.conntrack",
    "net.ipv4.vs.expire_nodest_conn",
    "net.ipv4.vs.expire_quiescent_template",
    "net.ipv6.conf.all.forwarding",
)


def read(keys: Iterable[str] = KUBE_PROXY, root: str = "/proc/sys") -> dict[str, int | None]:
    """Each key's number; None where the kernel has no such setting."""
    return {key: _number(os.path.join(root, *key.split("."))) for key in keys}


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None
