# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Around a removal: when it is refused, what is kept of how it was."""

from __future__ import annotations

import io
import os
import stat

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_rules_plan as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _iptables,
    _kube_rules_apply,
    _kube_rules_netlink,
    _kube_rules_read,
)


def process(proc, pid, name, network):
    (proc / pid / "ns").mkdir(parents=True)
    (proc / pid / "comm").write_text(name + "\n")
    if network:
        (proc / pid / "ns" / "net").symlink_to(network)


@pytest.mark.parametrize(
    ("name", "network", "runs"),
    [
        ("kube-proxy", "net:[1]", True),
        ("kube-proxy", "net:[2]", False),
        ("kube-proxy", None, False),  # a zombie has none
        ("kube-proxy-x", "net:[1]", False),
    ],
)
def test_a_kube_proxy_counts_when_it_runs_in_this_network(tmp_path, name, network, runs):
    process(tmp_path, "self", "python3", "net:[1]")
    process(tmp_path, "7", name, network)
    assert _kube_rules_read.running(str(tmp_path)) is runs


@pytest.mark.parametrize(
    "delete", [_kube_rules_netlink.delete_set, _kube_rules_netlink.delete_account]
)
def test_no_name_never_means_all(delete):
    with pytest.raises(ValueError, match="without a name"):
        delete("")


def keep(run_id="r1"):
    save = io.BytesIO(b"*nat\nCOMMIT\n")
    reading = _kube_rules_read.Reading(domain.Seen(), {("nft", "ip6"): save})
    return _kube_rules_apply.keep(run_id, reading, Plan(), domain.Removal())


@pytest.fixture
def undo(tmp_path, monkeypatch):
    monkeypatch.setattr(_kube_rules_apply, "UNDO", str(tmp_path / "k8snet/undo"))
    return tmp_path / "k8snet/undo"


def test_what_a_former_attempt_of_the_run_kept_stays(undo):
    keep()
    file = undo / "r1/kube-proxy.ip6tables-nft.save"
    assert file.read_bytes() == b"*nat\nCOMMIT\n"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    file.write_text("former")
    keep()
    assert file.read_text() == "former"


def test_a_link_in_place_of_the_folder_is_not_followed(undo, tmp_path):
    undo.mkdir(parents=True)
    (undo / "r1").symlink_to(tmp_path)
    with pytest.raises(_kube_rules_read.RulesError, match="Nothing was changed"):
        keep()
    assert os.listdir(tmp_path) == ["k8snet"]


@pytest.mark.parametrize(("chain", "refused"), [("KUBE-SERVICES", True), ("DOCKER", False)])
def test_a_table_that_cannot_be_shown_stops_it_only_if_it_holds_residue(
    monkeypatch, chain, refused
):
    def run(command, output, deadline, label):
        output.write(b"# Table `nat' is incompatible, use 'nft' tool.\n")

    monkeypatch.setattr(_iptables, "find", lambda *words: ["save"])
    monkeypatch.setattr(_iptables, "run", run)
    tables = [facts.NftTable("ip", "nat", (chain,))]
    if refused:
        with pytest.raises(_kube_rules_read.RulesError, match="iptables cannot show"):
            _kube_rules_read.read_save("nft", "ip", tables, 1e9)
    else:
        assert _kube_rules_read.read_save("nft", "ip", tables, 1e9)[0] == []
