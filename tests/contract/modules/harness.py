# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every module four times on this machine: check, apply, apply again, check again.

One playbook for all of them, inside network and mount namespaces of its own, so that what a module
writes lands in an empty file system that goes away with the run. The API double serves a cluster on
the loopback device there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]
MODULES = sorted(
    path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py") if path.stem[0] != "_"
)
#: A word that stands for a secret wherever a module takes one.
SECRET = "s3cr3t-of-the-contract"

#: What a module may change, read before and after each run. Of a report the name and the mode
#: count: it holds the time at which it was written. Of the cluster the writes that were answered
#: count; asking for one's rights is no write.
SNAPSHOT = r"""
ip -j addr
cut -d' ' -f1 /proc/modules 2>/dev/null | sort
find /var/lib -printf '%p %m %y\n' | sort
find /var/lib -path /var/lib/reports -prune -o -type f -exec md5sum {} +
grep -E '"verb": ?"(create|update|patch|delete)"' "$CONTRACT_API/audit.log" | grep -cv selfsubject
"""

#: Namespaces are there; serve the cluster, run the playbook, end. The server dies with the shell.
SCRIPT = r"""
mount -t tmpfs none /var/lib && mkdir /var/lib/reports && ip link set lo up || exit 1
mount -t sysfs none /sys || exit 1
ip link add wire type veth peer name far && ip link set wire up && ip link set far up || exit 1
setpriv --pdeathsig KILL "$PYTHON" -m tests.lab.api serve --listen 127.0.0.1:0 \
    --dir "$CONTRACT_API" >"$CONTRACT_API.log" 2>&1 &
server=$!
until grep -q ^ready "$CONTRACT_API.log"; do
    kill -0 $server || { cat "$CONTRACT_API.log"; exit 1; }
    sleep 0.1
done
export KUBECONFIG=$CONTRACT_API/kubeconfig
"$PYTHON" -m tests.lab.actors.cluster seed --nodes 1 --cni calico-manifest || exit 1
"$PYTHON" -m tests.lab.actors.cluster seed --nodes 1 --cni antrea --no-kube-proxy || exit 1
for world in antrea kube_proxy; do
    PYTHONPATH="$PYTHONPATH:$ANSIBLE_COLLECTIONS_PATH" "$PYTHON" -m tests.unit.${world}_world \
        || exit 1
done
"$PYTHON" -m ansible playbook -i localhost, contract.yml
code=$?
kill $server
exit $code
"""


@dataclass(frozen=True)
class Case:
    """How the contract runs one module.

    ``arguments`` are its options; ``changes`` says whether the first apply changes something;
    ``writes_in_check_mode`` is for reports only, the one thing that check mode writes too.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    changes: bool = False
    writes_in_check_mode: bool = False


#: The steps of a case: name, and whether the module runs in check mode (None: a snapshot).
STEPS = {
    "before": None,
    "check": True,
    "after check": None,
    "apply": False,
    "after apply": None,
    "apply again": False,
    "check again": True,
    "after all": None,
}


def _task(module: str, case: Case, step: str) -> dict[str, Any]:
    task: dict[str, Any] = {
        "name": f"{module}: {step}",
        "register": f"{module}_{step.replace(' ', '_')}",
        "check_mode": bool(STEPS[step]),
        "diff": True,
    }
    if STEPS[step] is None:
        return {**task, "ansible.builtin.shell": SNAPSHOT}
    return {**task, f"k8snet.cni.{module}": case.arguments}


def _playbook(cases: dict[str, Case], answer: Path) -> list[dict[str, Any]]:
    tasks = [_task(module, case, step) for module, case in cases.items() for step in STEPS]
    results = {
        module: {step: f"{{{{ {module}_{step.replace(' ', '_')} }}}}" for step in STEPS}
        for module in cases
    }
    keep = {
        "name": "Keep the results",
        "vars": {"results": results},
        "ansible.builtin.copy": {
            "content": "{{ results | to_json }}",
            "dest": str(answer),
            "mode": "0600",
        },
        "diff": False,
    }
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    return [{**play, "tasks": [*tasks, keep]}]


def run_cases(cases: dict[str, Case], directory: Path) -> dict[str, dict[str, Any]]:
    """Return module -> step -> result; "output" -> "text" is what Ansible printed."""
    answer = directory / "results.json"
    (directory / "contract.yml").write_text(json.dumps(_playbook(cases, answer)))
    given = {k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "KUBEBUILDER_ASSETS")}
    environment = {
        **given,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(CHECKOUT),
        "CONTRACT_API": str(directory / "api"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(directory / "tmp"),
    }
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "--mount", "sh", "-c", SCRIPT],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    # The whole output is searched too: a secret may leak there and not into a result.
    results: dict[str, dict[str, Any]] = json.loads(answer.read_text())
    results["output"] = {"text": done.stdout + done.stderr}
    token = (directory / "api" / "tokens").read_text().partition(",")[0]
    assert token not in str(results), "the API's token shows"
    return results
