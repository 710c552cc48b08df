# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chains that a restore empties: with the tools that are there, and without loading tables."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _restore_chains as chains

NAMES = ("ANTREA-POL-INGRESS-RULES", "ANTREA-POL-EGRESS-RULES")


@pytest.fixture
def node(monkeypatch):
    """A node; called with its programs, its legacy tables, and the chains that are there."""

    def make(programs, legacy="", there=NAMES):
        ran, said = [], []

        def run(*words, timeout):
            ran.append(" ".join(words))
            return (0, "") if words[-1] in there else (1, "no such chain")

        monkeypatch.setattr(chains.units, "run", run)
        monkeypatch.setattr(chains, "_there", programs.__contains__)
        monkeypatch.setattr(chains, "_has_filter", lambda path: legacy in path and bool(legacy))
        chains.empty(NAMES, lambda text, wrong: said.append((text, wrong)))
        return ran, said

    return make


def test_with_nft(node):
    ran, said = node({"nft", "iptables-nft"})
    assert ran == [
        f"nft flush chain {family} filter {name}" for family in ("ip", "ip6") for name in NAMES
    ]
    assert said[0] == ("Emptied the chain ANTREA-POL-INGRESS-RULES (nft, ip).", False)


def test_without_nft(node):
    ran, _said = node({"iptables-nft", "ip6tables-nft"})
    assert ran[0] == "iptables-nft -w 5 -F ANTREA-POL-INGRESS-RULES"
    assert len(ran) == 4


def test_legacy_tables_only_where_they_are(node):
    programs = {"nft", "iptables-legacy", "ip6tables-legacy"}
    ran, _said = node(programs, "/ip_tables_names")
    assert [r for r in ran if "legacy" in r] == [f"iptables-legacy -w 5 -F {n}" for n in NAMES]
    assert not [r for r in node(programs)[0] if "legacy" in r]
    # An old system has no variants.
    assert node({"iptables"}, "/ip_tables_names")[0][0] == f"iptables -w 5 -F {NAMES[0]}"


def test_what_is_not_there_is_no_error(node):
    _ran, said = node({"nft"}, there=NAMES[:1])
    assert [text for text, _wrong in said] == [
        "Emptied the chain ANTREA-POL-INGRESS-RULES (nft, ip).",
        "Emptied the chain ANTREA-POL-INGRESS-RULES (nft, ip6).",
    ]


def test_the_kernels_list_of_legacy_tables(tmp_path):
    (tmp_path / "names").write_text("nat\nfilter\n")
    assert chains._has_filter(str(tmp_path / "names"))
    (tmp_path / "names").write_text("nat\n")
    assert not chains._has_filter(str(tmp_path / "names"))
    assert not chains._has_filter(str(tmp_path / "gone"))
