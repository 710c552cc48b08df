# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the node says about itself, without asking DNS."""

from __future__ import annotations

import os


def gather(hosts: str = "/etc/hosts") -> dict[str, str]:
    """Return ``k8snet_node``: ``{hostname, fqdn, kernel, system}``.

    The full name comes from the host name or the hosts file, never from DNS: on the nodes this is
    made for, DNS may be what is broken, and every visit would wait for it.
    """
    system = os.uname()
    return {
        "hostname": system.nodename,
        "fqdn": _fqdn(system.nodename, hosts),
        "kernel": system.release,
        "system": system.sysname,
    }


def _fqdn(name: str, hosts: str) -> str:
    if "." in name:
        return name
    try:
        with open(hosts, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                names = line.split("#", 1)[0].split()[1:]
                if name in names:
                    return next((full for full in names if full.startswith(name + ".")), name)
    except OSError:
        return name
    return name
