# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters pass on what the prediction says, and their documented examples are true."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter import calico_autodetect, calico_whatif
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _autodetection, _whatif

autodetect = calico_autodetect.FilterModule().filters()["calico_autodetect"]
whatif = calico_whatif.FilterModule().filters()["calico_whatif"]
NICS = [
    {"name": "eth0", "up": True, "addresses": ["10.0.0.5/24", "2001:db8::5/64"]},
    {"name": "eth1", "up": True, "addresses": [{"address": "10.1.0.5", "prefix": 24}]},
]


def test_autodetect_returns_what_the_domain_returns():
    assert autodetect(NICS) == _autodetection.autodetect(NICS, "first-found")
    assert autodetect(NICS, "interface=^eth0$", family="6")["address"] == "2001:db8::5/64"
    found = autodetect(NICS, "kubernetes-internal-ip", internal_ips=["10.0.0.5"])
    assert found["interface"] == "eth0"
    found = autodetect(NICS, "can-reach=d", reach={"d": "10.0.0.5"})
    assert found["interface"] == "eth0"
    veth = [{"name": "ibmveth2", "addresses": ["10.0.0.5/24"]}]
    assert autodetect(veth, calico_version="v3.24.2")["address"] is None


def test_whatif_returns_what_the_domain_returns():
    nodes = {"a": {"nics": NICS, "internal_ips": ["10.0.0.5"]}}
    assert whatif(nodes) == _whatif.whatif(nodes)
    assert whatif(nodes, current="interface=x")["methods"][0]["method"] == "interface=x"
    assert whatif(nodes, ["first-found"])["good"] == []
    assert whatif(nodes, ["first-found"], family=6)["family"] == 6
    podman = {"a": {"nics": [{"name": "podman0", "addresses": ["10.0.0.5/24"]}]}}
    podman["a"]["internal_ips"] = ["10.0.0.5"]
    assert whatif(podman, ["first-found"])["good"] == []
    assert whatif(podman, ["first-found"], calico_version="v3.24.5")["good"] == ["first-found"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: autodetect("eth0"), "calico_autodetect: nics: expected a list"),
        (lambda: autodetect(None), "calico_autodetect: nics: expected a list"),
        (lambda: autodetect(NICS, ["first-found"]), "calico_autodetect: method: expected a string"),
        (lambda: autodetect(NICS, "", 5), "calico_autodetect: family: expected 4 or 6"),
        (
            lambda: autodetect([{"name": "a", "addresses": ["10.0.0.5"]}]),
            "Write it like '10.0.0.5/24'",
        ),
        (lambda: whatif([]), "calico_whatif: hosts: expected a dictionary"),
        (lambda: whatif({"a": 1}), r"calico_whatif: hosts\['a'\]: expected a dictionary"),
        (lambda: whatif({}, 7), "calico_whatif: methods: expected a list"),
    ],
)
def test_input_of_the_wrong_shape_is_a_filter_error_with_a_remedy(call, says):
    with pytest.raises(AnsibleFilterError, match=says):
        call()


def options(module):
    return yaml.safe_load(module.DOCUMENTATION)["options"]


@pytest.mark.parametrize(
    ("module", "function", "rename"),
    [
        (calico_autodetect, calico_autodetect.calico_autodetect, {"nics": "_input"}),
        (calico_whatif, calico_whatif.calico_whatif, {"hosts": "_input"}),
    ],
)
def test_the_documented_options_are_the_parameters_with_their_defaults(module, function, rename):
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    assert [rename.get(name, name) for name in names] == list(options(module))
    for name, default in zip(names[1:], function.__defaults__):
        documented = options(module)[name].get("default")
        assert (documented or None) == (default or None), name


def test_the_returned_keys_are_the_documented_keys():
    documented = yaml.safe_load(calico_autodetect.RETURN)["_value"]["contains"]
    assert set(documented) == set(autodetect(NICS))
    nodes = {"a": {"nics": NICS, "internal_ips": ["10.0.0.5"]}}
    documented = yaml.safe_load(calico_whatif.RETURN)["_value"]["contains"]
    said = whatif(nodes)
    assert set(documented) == set(said)
    assert set(documented["methods"]["contains"]) == set(said["methods"][0])
    assert set(documented["nodes"]["contains"]) == set(said["nodes"]["a"])
    sample = documented["nodes"]["contains"]["results"]["sample"]["first-found"]
    assert set(sample) == set(said["nodes"]["a"]["results"]["first-found"])


def environment(folder):
    collections = pathlib.Path(calico_autodetect.__file__).parents[5]
    return {
        "cwd": folder,
        "env": {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1"},
        "capture_output": True,
        "text": True,
    }


def run_playbook(tasks, variables, folder):
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}
    (folder / "play.json").write_text(json.dumps([play]), encoding="utf-8")
    collections = pathlib.Path(calico_autodetect.__file__).parents[5]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "play.json",
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_documented_examples_run_in_a_playbook(tmp_path):
    examples = [
        task
        for module in (calico_autodetect, calico_whatif)
        for task in yaml.safe_load(module.EXAMPLES)
    ]
    nodes = next(task["vars"]["nodes"] for task in examples if "nodes" in task.get("vars", {}))
    variables = {"k8snet_nics": NICS, "k8snet_reach": {"8.8.8.8": "10.0.0.5"}, "nodes": nodes}
    run = run_playbook(examples, variables, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "10.1.0.5/24 on eth1: eth1 before eth0" in run.stdout
    assert run.stdout.count('"address": "10.1.0.5/24"') == 1
    assert "kubernetes-internal-ip" in run.stdout


def test_a_playbook_shows_the_remedy_and_no_traceback(tmp_path):
    task = {"name": "Ask", "debug": {"msg": "{{ 'eth0' | k8snet.cni.calico_autodetect }}"}}
    run = run_playbook([task], {}, tmp_path)
    assert run.returncode != 0
    assert "Pass k8snet_nics of k8snet.cni.nic_facts" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_the_commands_of_the_documentation_print_what_it_says():
    root = pathlib.Path(__file__).parents[4]
    page = (root / "docs" / "prediction.md").read_text(encoding="utf-8")
    shown = re.findall(r"```shell\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 2
    for command, expected in shown:
        command = command.replace(
            "ansible localhost", f"{sys.executable} -m ansible adhoc localhost"
        )
        run = subprocess.run(["bash", "-c", command], check=False, **environment(root))
        assert run.returncode == 0, run.stdout + run.stderr
        for line in expected.splitlines():
            assert line in run.stdout
    assert "first-found" not in run.stdout
