# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One lab node with a kernel of its own, and the modules run on it by Ansible."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.integration.ovs.netns import COLLECTIONS, parse, quiet
from tests.lab.lab import Lab

PYTHON_3_9 = "/opt/python3.9/bin/python3.9"


class LabNode:
    """The only node of a lab that goes down with the test."""

    def __init__(self, name):
        # A node of one's own: these tests need a kernel that has loaded nothing yet.
        self._name = f"{name}-{os.getpid()}"

    def __enter__(self):
        if os.geteuid() != 0:
            pytest.skip("the lab needs root")
        self.lab = Lab.up(1, name=self._name)
        return self

    def __exit__(self, *_exc):
        self.lab.down()

    def sh(self, script, check=True):
        """The output of a shell script that root runs on the node."""
        command = "sudo sh -euc 'eval \"$(cat)\"'"
        return self.lab.ssh("node1", command, check=check, input=script, stdin=None).stdout

    def modules(self):
        """The names of the loaded kernel modules."""
        return {line.split()[0] for line in self.sh("cat /proc/modules").splitlines()}

    def fact(self, module, python=None, become=True, **options):
        """What ``k8snet.cni.<module>`` returns on the node, by Ansible over ssh."""
        ansible = os.path.join(os.path.dirname(sys.executable), "ansible")
        command = [
            ansible,
            "node1",
            "-i",
            str(self.lab.inventory),
            *(["--become"] if become else []),
        ]
        command += ["-m", f"k8snet.cni.{module}", *(["-a", json.dumps(options)] if options else [])]
        command += ["-e", f"ansible_python_interpreter={python}"] if python else []
        environment = {**os.environ, **quiet(), "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS}
        done = self.lab.exec(command, capture_output=True, text=True, env=environment)
        return parse(done)
