# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""config.conf and ClusterConfiguration: only what is asked for changes; nobody sees tokens."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_config as config,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.kube_proxy_world import CLUSTER, CONF, KUBECONFIG

Obj = dict[str, Any]
SECRET = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0"


def config_map(text: str) -> Obj:
    return {"kind": "ConfigMap", "metadata": {"name": "kube-proxy"}, "data": {"config.conf": text}}


@pytest.mark.parametrize(
    "text",
    [
        CONF,
        CONF.replace("ipvs:\n  excludeCIDRs: null\n  minSyncPeriod: 0s\n", ""),
        CONF.replace("  excludeCIDRs: null\n  minSyncPeriod: 0s\n", "  strictARP: false # why\n"),
        CONF.replace("ipvs:\n  excludeCIDRs: null\n  minSyncPeriod: 0s\n", "ipvs: {}\n"),
        CONF.replace("ipvs:\n  excludeCIDRs: null\n  minSyncPeriod: 0s\n", "ipvs: null\n"),
    ],
)
def test_strict_arp_is_set_wherever_its_key_is_or_is_not(text: str) -> None:
    edited = config.with_strict_arp(config_map(text), True)
    wanted = yaml.safe_load(text)
    wanted["ipvs"] = {**(wanted.get("ipvs") or {}), "strictARP": True}
    assert yaml.safe_load(edited) == wanted
    comments = [line for line in text.split("\n") if line.startswith("#")]
    assert [line for line in edited.split("\n") if line.startswith("#")] == comments
    assert "# iptables" in edited
    assert config.with_strict_arp(config_map(edited), True) == edited
    assert config.with_strict_arp(config_map(text), False) == text, "it is false already"


@given(st.text(alphabet="ab: \n#{}[]-'\"|>&*!", max_size=60), st.booleans())
def test_any_text_is_edited_rightly_or_refused(text: str, value: bool) -> None:
    try:
        edited = config.with_strict_arp(config_map(text), value)
    except Refused:
        return
    read = config.read(config_map(edited))
    assert read["strict_arp"] is value
    before, after = yaml.safe_load(text) or {}, yaml.safe_load(edited) or {}
    before.pop("ipvs", None)
    after.pop("ipvs", None)
    assert before == after


def test_a_config_that_is_none_is_refused_and_read_with_its_reason() -> None:
    with pytest.raises(Refused, match=r"holds no config\.conf"):
        config.with_strict_arp({"metadata": {"name": "x"}, "data": {}}, True)
    with pytest.raises(Refused, match="line 2"):
        config.with_strict_arp(config_map("a: 1\n\tb: 2\n"), True)
    assert "line 2" in config.read(config_map("a: 1\n\tb: 2\n"))["errors"][0]
    assert config.read(None)["strict_arp"] is None


def test_what_config_conf_says() -> None:
    read = config.read(config_map(CONF.replace('mode: ""', "mode: ipvs")))
    assert (read["mode"], read["strict_arp"]) == ("ipvs", False)
    assert (read["cluster_cidr"], read["node_port_addresses"]) == ("10.244.0.0/16", [])


@pytest.mark.parametrize(
    "text",
    [
        CLUSTER,
        CLUSTER.replace("proxy: {}\n", ""),
        CLUSTER.replace("proxy: {}", "proxy:\n  # kept\n  disabled: false"),
    ],
)
def test_proxy_disabled_is_set_and_put_back_byte_by_byte(text: str) -> None:
    off = config.disabled(text)
    assert yaml.safe_load(off)["proxy"] == {"disabled": True}
    assert "# of the cluster's planning sheet" in off
    assert config.disabled(off) == off
    assert config.enabled_again(off, text) == text


def test_an_edit_made_meanwhile_survives_the_way_back() -> None:
    off = config.disabled(CLUSTER) + "# later\nclusterName: other\n"
    back = config.enabled_again(off, CLUSTER)
    assert "# later" in back
    found = yaml.safe_load(back)
    assert found["clusterName"] == "other"
    assert not (found.get("proxy") or {}).get("disabled")
    was = CLUSTER.replace("proxy: {}", "proxy: {disabled: true}")
    assert config.enabled_again(was, was) == was, "it was so before"


@pytest.mark.parametrize(
    "line",
    [
        f"token: {SECRET}",
        f'token: "{SECRET}"',
        f"'token' : '{SECRET}'",
        f"token:\n        {SECRET}",
        f"client-key-data: |\n        {SECRET}\n        {SECRET}",
        f"client-key-data: >-\n        {SECRET}",
        f"password: a b, {SECRET}",
        f'auth-provider: {{config: {{"access-token": "{SECRET}"}}}}',
    ],
)
def test_no_credential_is_shown(line: str) -> None:
    text = f"users:\n- name: a\n  user:\n    {line}\n    other: kept\n"
    clean = config.mask(text)
    assert SECRET not in clean
    assert config.HIDDEN in clean
    assert config.mask(clean) == clean
    obj = config_map(CONF)
    obj["data"]["kubeconfig.conf"] = text
    assert SECRET not in str(config.masked(obj))
    assert config.holds_secrets(obj)
    assert config.holds_secrets(config.masked(obj)), "an undo bundle tells that it is not whole"


def test_what_holds_no_credential_is_left_as_it_is() -> None:
    obj = config_map(CONF)
    obj["data"]["kubeconfig.conf"] = KUBECONFIG
    assert config.masked(obj) is obj
    assert not config.holds_secrets(obj)
