# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads IPVS without ``ipvsadm``, which would load ip_vs by being asked."""

from __future__ import annotations

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_ipvs as ipvs

PATH = "/proc/net/ip_vs"


class IpvsError(Exception):
    """The table is there and cannot be read. The text says what, where, remedy."""


def virtual_servers(path: str = PATH) -> list[ipvs.VirtualServer]:
    """Every virtual server; none where ip_vs is not loaded. Raises IpvsError."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return list(ipvs.parse(file))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise IpvsError(
            f"IPVS virtual servers could not be read ({exc.strerror}): {path}. Use 'become: true'."
        ) from exc
    except ValueError as exc:
        raise IpvsError(
            f"IPVS virtual servers could not be understood: {path}, {exc}. "
            "Compare with 'ipvsadm -Ln' and report it with the kernel's version."
        ) from exc
