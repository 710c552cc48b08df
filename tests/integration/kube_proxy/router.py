# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A namespace that forwards between a client's and a server's, as a node does for its Services."""

from __future__ import annotations

import contextlib
import subprocess

from tests.integration.ovs.netns import Namespace

SERVER = "192.0.2.2"


class Router:
    """``node`` between ``client`` (192.0.1.2) and ``server``; all end with the context."""

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self.node, self.client, self.server = (
            self._stack.enter_context(Namespace()) for _each in range(3)
        )
        # What is kept lands in a file system that ends with the test.
        self.node.run("mount", "-t", "tmpfs", "none", "/var/lib")
        for number, other in enumerate((self.client, self.server), start=1):
            link = ["ip", "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0"]
            # By the machine's number of the process: in the node's own, others have none.
            entered = ["nsenter", "-t", str(self.node.pid), "-n"]
            subprocess.run([*entered, *link, "netns", str(other.pid)], check=True)
            near, far = f"192.0.{number}.1", f"192.0.{number}.2"
            for space, device, own in ((self.node, f"to{number}", near), (other, "eth0", far)):
                space.run("ip", "addr", "add", f"{own}/24", "dev", device)
                space.run("ip", "link", "set", device, "up")
            other.run("ip", "route", "add", "default", "via", near)
        self.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        return self

    def __exit__(self, *_error):
        self._stack.close()
