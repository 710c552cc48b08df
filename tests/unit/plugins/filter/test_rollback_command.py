# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that takes a run back says all that it needs, whatever is in the names."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.splitter import parse_kv
from ansible_collections.k8snet.cni.plugins.filter import rollback_command as filters

command = filters.FilterModule().filters()["rollback_command"]
WHERE = "/srv/undo/night-1/cluster.json"


def settings_of(line: str) -> dict[str, Any]:
    """What ansible-playbook makes of the ``-e`` of a command line."""
    words = shlex.split(line)
    given = [words[n + 1] for n, word in enumerate(words) if word == "-e"]
    found: dict[str, Any] = {}
    for text in given:
        found |= json.loads(text) if text.startswith("{") else parse_kv(text)
    return found


def test_by_default_it_names_run_and_folder_and_nothing_else() -> None:
    nothing = {"namespace": "", "kubeconfig": "", "context": "", "hosts": "k8snet_hosts"}
    assert command("night-1", {"where": WHERE, **nothing}) == (
        "ansible-playbook k8snet.cni.rollback -e k8snet_run_id=night-1 -e k8snet_undo_dir=/srv/undo"
    )


def test_it_names_whatever_is_not_the_default() -> None:
    line = command(
        "night-1",
        {
            "inventories": ["/etc/net/inventory.yml", "node1,node2"],
            "where": WHERE,
            "kubeconfig": "~/.kube/other",
            "context": "admin@prod",
            "hosts": "workers:!old",
        },
    )
    words = shlex.split(line)
    assert [words[n + 1] for n, word in enumerate(words) if word == "-i"] == [
        "/etc/net/inventory.yml",
        "node1,node2",
    ]
    assert settings_of(line) == {
        "k8snet_run_id": "night-1",
        "k8snet_kubeconfig": "~/.kube/other",
        "k8snet_context": "admin@prod",
        "k8snet_undo_dir": "/srv/undo",
        "k8snet_hosts": "workers:!old",
    }


def test_a_secret_is_named_by_its_namespace() -> None:
    where = "Secret k8snet-system/k8snet-undo-night-1"
    found = settings_of(command("night-1", {"where": where, "namespace": "k8snet-system"}))
    assert found == {"k8snet_run_id": "night-1", "k8snet_undo_namespace": "k8snet-system"}
    assert settings_of(command("night-1", {"where": WHERE, "namespace": "k8snet-system"})) == found


@pytest.mark.parametrize(
    "folder", ["/my undo", "/it's", '/a"b', "/a\\b", "/a=b", "/$HOME/`id`;", "/"]
)
def test_a_folder_arrives_whatever_is_in_its_name(folder: str) -> None:
    line = command("r", {"where": f"{folder.rstrip('/')}/r/cluster.json"})
    assert settings_of(line)["k8snet_undo_dir"] == folder


@pytest.mark.parametrize("wrong", [(1, {}), ("run", None), ("run", ["x"])])
def test_other_input_is_refused(wrong: tuple[Any, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="rollback_command"):
        command(*wrong)
