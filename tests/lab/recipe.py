# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a node. Everything here is part of the image's cache key, and nothing else is.

The node root is Debian trixie; its kernel is Debian's User Mode Linux package from testing, whose
modules (8021q, openvswitch, ip_vs, nf_tables, ...) come in the same package.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SUITE = "trixie"
PACKAGES = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "iproute2",
    "openssh-server",
    "python3",
    "sudo",
    "openvswitch-switch",
    "iptables",
    "nftables",
    "ipset",
    "ipvsadm",
    "conntrack",
    "kmod",
    "ethtool",
    "iputils-ping",
    "tcpdump",
]

KERNEL_SUITE = "testing"
KERNEL_PACKAGE = "user-mode-linux"

# The oldest Python that modules must run on, as that Debian release shipped it. Its libraries'
# sonames differ from trixie's, so that they lie beside them without touching anything.
OLD_PYTHON_SUITE = "bullseye"
OLD_PYTHON_PACKAGES = [
    "python3.9-minimal",
    "libpython3.9-minimal",
    "libpython3.9-stdlib",
    "libssl1.1",
    "libffi7",
    "libmpdec3",
]

#: Left out of the image: nobody reads it there, and the image is written in less time.
UNREAD = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/bug",
    "var/cache/apt",
    "var/lib/apt/lists",
]

#: Module directories that no network test loads.
UNUSED_MODULES = ("kernel/fs", "kernel/sound", "kernel/drivers/md", "kernel/drivers/block")

#: Units that cost seconds of an emulated boot or act on their own later. The node is a plain ssh
#: host with systemd; what a test needs of these it can start itself.
MASKED = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "man-db.timer",
    "logrotate.timer",
    "systemd-tmpfiles-clean.timer",
    "getty@.service",
    "console-getty.service",
    "getty.target",
    "serial-getty@.service",
    "systemd-logind.service",
    "systemd-user-sessions.service",
    "systemd-pstore.service",
    "systemd-hwdb-update.service",
    "systemd-update-done.service",
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "systemd-journal-catalog-update.service",
    "ldconfig.service",
    "systemd-binfmt.service",
    "systemd-random-seed.service",
    "systemd-update-utmp.service",
    "systemd-udev-settle.service",
    "systemd-sysusers.service",
    "systemd-repart.service",
    "systemd-journal-flush.service",
    "systemd-remount-fs.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-modules-load.service",
    "systemd-boot-random-seed.service",
    "systemd-network-generator.service",
    "systemd-vconsole-setup.service",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "kmod-static-nodes.service",
    "modprobe@.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "uuidd.socket",
    "uuidd.service",
    "sshd-keygen.service",
    "ssh.socket",
    "ipvsadm.service",
    "openvswitch-switch.service",
    "ovs-vswitchd.service",
    "ovsdb-server.service",
    "ovs-record-hostname.service",
    "nftables.service",
    "rc-local.service",
    "remote-fs.target",
    "systemd-udev-load-credentials.service",
    "systemd-pcrphase.service",
    "systemd-tpm2-setup.service",
    "systemd-tpm2-setup-early.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
]

ENABLED = ("labnet.service", "ssh.service")

#: Files for the node, laid out as on the node, beside this module.
FILES = Path(__file__).parent / "rootfs"

IMAGE_BYTES = 2 * 1024**3


def root_key() -> str:
    """Names what debootstrap makes: changes when the packages do."""
    return _digest([SUITE, *PACKAGES])


def image_key() -> str:
    """Names the image: changes when anything that ends on it does."""
    # build.py counts for what is done to the root in it; its comments cost a rebuild of seconds.
    sources = [p.read_text(encoding="utf-8") for p in (Path(__file__), FILES.parent / "build.py")]
    files = {str(p.relative_to(FILES)): p.read_bytes().hex() for p in node_files()}
    return _digest([sources, files])


def node_files() -> list[Path]:
    """The files to be put on the node, sorted."""
    return sorted(p for p in FILES.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
