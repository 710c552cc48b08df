# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines outside the cluster: what is refused, their objects, the files of their agents."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.antrea_features_external_files import (
    antrea_features_external_files,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _external_node as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import Config

Obj = dict[str, Any]
CLUSTER = {"nodes": [{"name": "node1", "internal_ips": ["10.0.0.1"]}]}
VM = {"namespace": "vms", "name": "vm1", "ips": ["172.16.100.3"], "labels": {"role": "db"}}
TOLD = {
    "external_dir": "/srv/vms",
    "external_api": "https://api.example.org:6443",
    "external_antrea": "https://10.0.0.1:30349",
    "external_token": "s3cr3t",
    "external_bypass": [
        {"direction": "ingress", "protocol": "tcp", "cidr": "10.0.0.0/8", "port": 22}
    ],
}


class Tagged(str):
    """Text as templates make it."""


def said(*machines: Obj, **told: Any) -> str:
    options = {"external_nodes": list(machines), **told}
    return " ".join(domain.problems(options, CLUSTER, ["10.96.0.0/16"]))


def test_what_is_well() -> None:
    assert said(VM, **TOLD) == ""
    # Without a folder nothing is told to agents.
    assert said(VM) == ""
    assert said(**TOLD) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "VM 1"}, "name is 'VM 1'"),
        ({"namespace": None}, "namespace is None"),
        ({"ips": []}, "has no ips"),
        ({"ips": ["172.16.100.0/24"]}, "'172.16.100.0/24' is no IP address"),
        ({"ips": ["10.0.0.1"]}, "10.0.0.1 is of Node node1 already"),
        ({"ips": ["172.16.100.3", "172.16.100.3"]}, "is of ExternalNode vms/vm1 already"),
    ],
)
def test_machines_that_are_refused(change: Obj, words: str) -> None:
    assert words in said({**VM, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"external_api": "http://api:6443"}, "it must be https://HOST:PORT"),
        ({"external_antrea": ""}, "antrea_features_external_antrea is ''"),
        ({"external_antrea": "https://10.96.0.7:443"}, "is in the Service network"),
        ({"external_token": ""}, "antrea_features_external_token is empty"),
        ({"external_bypass": [{"direction": "in"}]}, "is no rule"),
        ({"external_bypass": [{**TOLD["external_bypass"][0], "port": 0}]}, "is no rule"),  # type: ignore[dict-item]
    ],
)
def test_what_agents_are_not_told(change: Obj, words: str) -> None:
    text = said(VM, **{**TOLD, **change})
    assert words in text
    assert "s3cr3t" not in text


def test_the_object_and_whether_it_changes() -> None:
    made = domain.obj(VM)
    assert made["spec"] == {"interfaces": [{"name": "", "ips": ["172.16.100.3"]}]}
    assert made["metadata"]["labels"] == {"role": "db"}
    options = {"external_nodes": [VM]}
    assert domain.changes(options, []) == [{"object": made, "before": None, "former": None}]
    there = {**made, "metadata": {**made["metadata"], "uid": "1"}}
    assert domain.changes(options, [there]) == []
    moved = {**there, "spec": {"interfaces": [{"name": "", "ips": ["172.16.100.9"]}]}}
    assert domain.changes(options, [moved])[0]["before"] == moved


def test_what_puts_a_machine_back_as_it_was() -> None:
    made = domain.obj({**VM, "labels": {"role": "db", "new": "1"}})
    labels = {"role": "web", "theirs": "x"}
    before = {
        **made,
        "metadata": {**made["metadata"], "labels": labels},
        "spec": {"interfaces": []},
    }
    options = {"external_nodes": [{**VM, "labels": {"role": "db", "new": "1"}}]}
    former = domain.changes(options, [before])[0]["former"]
    # null takes away what came; a patch would leave it.
    assert former["metadata"]["labels"] == {"role": "web", "theirs": "x", "new": None}
    assert former["spec"] == {"interfaces": []}


def test_the_gate_is_the_controllers() -> None:
    options = {"external_nodes": [VM]}
    assert domain.wanted({"gates": {}}, options) == {"featureGates": {"ExternalNode": True}}
    on = {"gates": {"ExternalNode": {"effective": {"controller": True}}}}
    assert domain.wanted(on, options) == {}
    assert domain.wanted({"gates": {}}, {}) == {}


def test_the_files() -> None:
    authorities = {"api": "PEM of the API", "antrea": "PEM of Antrea"}
    told = {**TOLD, "external_api": Tagged(TOLD["external_api"])}
    files = antrea_features_external_files(VM, told, authorities)
    conf = yaml.safe_load(files["antrea-agent.conf"])
    assert conf["nodeType"] == "externalNode"
    assert conf["externalNode"]["externalNodeNamespace"] == "vms"
    assert conf["externalNode"]["policyBypassRules"] == TOLD["external_bypass"]
    wrong = _antrea_rules.problems(Config((2, 6), {"agent": conf, "controller": {}}))
    assert [p.what for p in wrong] == []
    for name, server, pem in (
        ("antrea-agent.kubeconfig", TOLD["external_api"], "PEM of the API"),
        ("antrea-agent.antrea.kubeconfig", TOLD["external_antrea"], "PEM of Antrea"),
    ):
        config = yaml.safe_load(files[name])
        cluster = config["clusters"][0]["cluster"]
        assert cluster["server"] == server
        assert base64.b64decode(cluster["certificate-authority-data"]).decode() == pem
        assert config["users"][0]["user"] == {"token": "s3cr3t"}
        assert conf["clientConnection"]["kubeconfig"] == "/etc/antrea/antrea-agent.kubeconfig"
    with pytest.raises(AnsibleFilterError, match="not complete") as error:
        antrea_features_external_files(VM, {"external_token": "s3cr3t"}, authorities)
    assert "s3cr3t" not in str(error.value)
