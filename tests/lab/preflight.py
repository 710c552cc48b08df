# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says in the first second what this machine lacks to run a lab."""

from __future__ import annotations

import os
import platform
import shutil

from tests.lab.errors import LabError
from tests.lab.switch import SCHEMA

#: Program and the Debian package that holds it.
PROGRAMS = {
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "ovs-vsctl": "openvswitch-switch",
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-switch",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}


def check() -> None:
    """LabError naming the first thing that is missing, and the remedy."""
    if os.geteuid() != 0:
        raise LabError(
            "not root: the lab makes namespaces, taps and mounts of its own", "Run it with sudo."
        )
    if platform.machine() != "x86_64":
        raise LabError(f"this machine is {platform.machine()}: the nodes' kernel is x86_64's")
    if not os.path.exists("/dev/net/tun"):
        raise LabError(
            "/dev/net/tun is missing: the nodes' NICs are taps", "Load it: modprobe tun."
        )
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    missing = {p: package for p, package in PROGRAMS.items() if not shutil.which(p, path=path)}
    if not SCHEMA.exists():
        missing[str(SCHEMA)] = "openvswitch-switch"
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise LabError(
            f"missing: {', '.join(sorted(missing))}", f"Install it: apt-get install {packages}"
        )
