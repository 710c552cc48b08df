# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network, mount and process namespace that ends with the test, however the test ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
COLLECTIONS = os.path.join(REPOSITORY, ".ansible", "collections")
_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec")
_GATHER = """
import json, sys
from ansible_collections.k8snet.cni.plugins.module_utils.node import {module}
print(json.dumps({module}.gather(*json.loads(sys.argv[1]))))
"""


class Namespace:
    """Its first process waits for the end of its input: when the test dies, all in it does."""

    def __enter__(self):
        self._holder = subprocess.Popen(
            [*_UNSHARE, "mount -t sysfs none /sys; ip link set lo up; echo up; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout.readline() == b"up\n"
        pid = self._holder.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            self.pid = int(file.read().split()[0])
        return self

    def __exit__(self, *_exc):
        self._holder.stdin.close()
        self._holder.wait(10)
        self._holder.stdout.close()

    def run(self, *command, stdin=None, check=True, env=None):
        """Run ``command`` inside; its standard output. A failure shows its standard error."""
        entered = ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", *command]
        done = subprocess.run(
            entered,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(env or {})},
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def gather(self, module, *arguments):
        """``module.gather(*arguments)`` of the node-side code, run inside."""
        code = _GATHER.format(module=module)
        return json.loads(
            self.run(
                sys.executable, "-c", code, json.dumps(arguments), env={"PYTHONPATH": COLLECTIONS}
            )
        )


def ansible(module, enter=(), words=(), **options):
    """The result of one module run by Ansible itself on this machine; ``words`` as --check."""
    python = os.path.dirname(sys.executable)
    command = [*enter, os.path.join(python, "ansible"), "localhost", "-m", f"k8snet.cni.{module}"]
    command += words
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    command += ["-a", json.dumps(options)] if options else []
    environment = {**os.environ, **quiet(), "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return parse(done)


def quiet():
    """Settings under which Ansible prints one result as JSON and little else."""
    return {
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }


def parse(done):
    """The one result in Ansible's output."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert "=> {" in done.stdout, said
    return json.loads(done.stdout[done.stdout.index("=> {") + 3 :])
