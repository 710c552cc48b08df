# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading kube-proxy's traces: which tool is run when, and what happens when one fails."""

from __future__ import annotations

import errno
import os
import stat
import struct
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy import NftTable
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _ipset,
    _iptables,
    _ipvs,
    _kube_proxy,
    _nfnetlink,
    _nft,
    _sysctl,
)
from hypothesis import given
from hypothesis import strategies as st

NAT = [NftTable("ip", "nat", ("PREROUTING", "KUBE-SERVICES", "KUBE-MARK-DROP"))]
SAVE = "*nat\\n:PREROUTING ACCEPT [0:0]\\n:KUBE-SERVICES - [0:0]\\nCOMMIT\\n"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH that holds only what the test puts there; ``tools(name, script)`` adds a program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_iptables, "_SBIN", ())
    monkeypatch.setattr(_nfnetlink, "may_ask", lambda module: True)
    monkeypatch.setattr(_iptables, "legacy_tables", lambda name: [])

    def add(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return add


def gather(tables=None, seconds=5.0):
    return _iptables.gather(NAT if tables is None else tables, time.monotonic() + seconds)


# -- which tool -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [["iptables-nft-save"], ["xtables-nft-multi"], ["iptables-save", "iptables"]]
)
def test_the_tool_is_found_under_each_name_that_distributions_use(tools, names):
    for name in names:
        tools(name, f"case $1 in --version) echo 'v1.8.9 (nf_tables)';; *) printf '{SAVE}';; esac")
    graphs, errors = gather()
    assert errors == []
    assert [list(graph.chains) for graph in graphs] == [["KUBE-SERVICES"]]
    assert graphs[0].complete


def test_a_plain_name_of_the_other_back_end_is_not_asked(tools, tmp_path):
    tools("iptables", "echo 'iptables v1.6.1'")
    tools("iptables-save", f": > {tmp_path}/ran")
    graphs, errors = gather()
    assert "no tool can list them" in errors[0]
    assert not graphs[0].complete
    assert not (tmp_path / "ran").exists()


def test_an_iptables_before_1_8_is_legacy(tools, monkeypatch):
    monkeypatch.setattr(_iptables, "legacy_tables", lambda name: ["nat"])
    tools("iptables", "echo 'iptables v1.6.1'")
    tools("iptables-save", f"printf '{SAVE}'")
    tools("ip6tables-legacy-save", f"printf '{SAVE}'")
    graphs, errors = gather([])
    assert errors == []
    assert [(g.backend, g.family) for g in graphs] == [("legacy", "ip"), ("legacy", "ip6")]


def test_no_tool_is_run_where_the_kernel_has_no_tables(tools, tmp_path):
    for tool in ("iptables", "ip6tables"):
        for backend in ("nft", "legacy"):
            tools(f"{tool}-{backend}-save", f": > {tmp_path}/ran")
    native = [NftTable("ip", "kube-proxy"), NftTable("inet", "nat"), NftTable("ip", "antrea")]
    assert gather(native) == ([], [])
    assert not (tmp_path / "ran").exists()


def test_without_nft_compat_the_chains_are_told_and_the_tool_is_not_run(
    tools, tmp_path, monkeypatch
):
    tools("iptables-nft-save", f": > {tmp_path}/ran")
    monkeypatch.setattr(_nfnetlink, "may_ask", lambda module: module != "nft_compat")
    graphs, errors = gather()
    assert errors == []
    assert not (tmp_path / "ran").exists()
    assert (list(graphs[0].chains), graphs[0].complete) == (["KUBE-SERVICES"], False)
    assert graphs[0].other_chains["kubelet"] == 1


# -- tools that fail ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'iptables-save: Permission denied' >&2; exit 4", "failed (iptables-save: Perm"),
        ("exit 3", "failed (exit status 3)"),
        ("kill -9 $$", "failed (exit status -9)"),
        ("echo hello", "could not be read: line 1 is not"),
        ("printf '*nat\\n:KUBE-SERVICES - [0:0]\\n'", "middle of table 'nat'"),
        ("printf '\\377\\376'", "could not be read"),
    ],
)
def test_a_tool_that_fails_is_an_error_with_a_remedy(tools, script, message):
    tools("iptables-nft-save", script)
    _graphs, errors = gather()
    assert len(errors) == 1
    assert message in errors[0]
    assert "iptables-nft-save" in errors[0]
    assert errors[0].endswith((".", "compare."))


def test_a_tool_that_cannot_be_started(tools, tmp_path):
    path = tools("iptables-nft-save", "")
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/no/such/interpreter\n")
    graphs, errors = gather()
    assert "could not be started" in errors[0]
    assert not graphs[0].complete


def test_a_tool_that_hangs_ends_by_the_deadline(tools):
    tools("iptables-nft-save", "exec /bin/sleep 30")
    start = time.monotonic()
    graphs, errors = gather(seconds=0.3)
    assert time.monotonic() - start < 5
    assert "did not end within" in errors[0]
    assert not graphs[0].complete


def test_an_incompatible_table_is_left_out_and_told(tools):
    text = "# Table `nat' is incompatible, use 'nft' tool.\n*mangle\nCOMMIT"
    tools("iptables-nft-save", f"/bin/cat <<'END'\n{text}\nEND")
    graphs, errors = gather()
    assert [graph.table for graph in graphs] == ["mangle"]
    assert "Table 'nat'" in errors[0]
    assert "nft list table ip nat" in errors[0]


def test_a_table_with_foreign_base_chains_is_printed_and_left_out_all_the_same(tools):
    text = "# Table `nat' contains incompatible base-chains, use 'nft' tool to list them."
    text += "\n*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT"
    tools("iptables-nft-save", f"/bin/cat <<'END'\n{text}\nEND")
    graphs, errors = gather()
    assert graphs == []
    assert "Table 'nat'" in errors[0]


# -- loading nothing ------------------------------------------------------------------------


@pytest.fixture
def kernel(tmp_path):
    """A root folder that tells of a kernel; ``kernel(...)`` fills it."""

    def fill(loaded=(), sysfs=(), built_in=(), modular=True):
        (tmp_path / "proc").mkdir()
        if modular:
            lines = [f"{name} 16384 0 - Live 0x0\n" for name in loaded]
            (tmp_path / "proc/modules").write_text("".join(lines))
        for name in sysfs:
            (tmp_path / "sys/module" / name).mkdir(parents=True)
        lib = tmp_path / "lib/modules" / os.uname().release
        lib.mkdir(parents=True)
        lines = [f"kernel/net/netfilter/{name}.ko\n" for name in built_in]
        (lib / "modules.builtin").write_text("".join(lines))
        return str(tmp_path)

    return fill


def test_a_module_that_is_loaded_or_built_in_may_be_asked(kernel):
    root = kernel(loaded=["ip_set"], sysfs=["nf_tables"], built_in=["nf-conntrack", "x_tables"])
    for name in ("ip_set", "nf_tables", "nf_conntrack", "x_tables", "ip-set"):
        assert _nfnetlink.may_ask(name, root), name
    for name in ("ip_vs", "ip_set_hash_ip", "ip", "tables", "_tables"):
        assert not _nfnetlink.may_ask(name, root), name


def test_a_kernel_without_modules_may_be_asked_anything(kernel):
    assert _nfnetlink.may_ask("ip_set", kernel(modular=False))


def test_what_is_not_loaded_is_not_asked(monkeypatch):
    monkeypatch.setattr(_nfnetlink, "may_ask", lambda module: False)
    monkeypatch.setattr(_nfnetlink, "dump", lambda *_a, **_k: pytest.fail("asked"))
    assert _nft.tables() == []
    assert _ipset.sets() == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT])
def test_a_kernel_that_has_not_got_it_holds_nothing(monkeypatch, code):
    def refuse(*_arguments):
        raise _nfnetlink.NetlinkError("no", code)

    monkeypatch.setattr(_nfnetlink, "may_ask", lambda module: True)
    monkeypatch.setattr(_nfnetlink, "dump", refuse)
    assert _nft.tables() == []
    assert _ipset.sets() == []


def test_a_refusal_is_told_and_the_rest_is_read(monkeypatch):
    def refuse(*_arguments):
        raise _nfnetlink.NetlinkError("Operation not permitted", errno.EPERM)

    monkeypatch.setattr(_nfnetlink, "may_ask", lambda module: True)
    monkeypatch.setattr(_nfnetlink, "dump", refuse)
    monkeypatch.setattr(_iptables, "legacy_tables", lambda name: [])
    found = _kube_proxy.gather()
    assert len(found["errors"]) == 3
    for text in found["errors"]:
        assert "Operation not permitted" in text
        assert "become" in text
    assert "net.ipv4.ip_forward" in found["sysctls"]


# -- netlink --------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=20))))
def test_attributes_come_back_as_they_went(pairs):
    data = b"".join(_nfnetlink.attribute(kind, value) for kind, value in pairs)
    assert _nfnetlink.attributes(data) == pairs


def test_an_attribute_that_is_cut_short_is_left_out():
    whole = _nfnetlink.attribute(1, b"abcd") + _nfnetlink.attribute(2, b"efgh")
    assert _nfnetlink.attributes(whole[:-1]) == [(1, b"abcd")]


@given(st.binary(max_size=60), st.integers(0, 70))
def test_any_bytes_are_attributes_or_ignored(data, offset):
    for _kind, value in _nfnetlink.attributes(data, offset):
        assert len(value) <= len(data)


class Kernel:
    """A netlink socket that answers with the given datagrams."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, *_arguments):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        pass

    def bind(self, _address):
        pass

    def send(self, _data):
        pass

    def settimeout(self, _seconds):
        pass

    def recv(self, _size):
        if not self.answers:
            raise TimeoutError("timed out")
        return self.answers.pop(0)


def message(kind, body=b"", flags=2):
    return (
        struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body + b"\0" * (-len(body) % 4)
    )


DONE = message(3, b"\0" * 4)


def dump(monkeypatch, *answers):
    monkeypatch.setattr(_nfnetlink.socket, "socket", Kernel(*answers))
    return _nfnetlink.dump(12, 1, b"")


def test_a_dump_is_read_over_several_datagrams(monkeypatch):
    assert dump(monkeypatch, message(99, b"a") + message(99, b"bc"), message(99), DONE) == [
        b"a",
        b"bc",
        b"",
    ]


def test_an_interrupted_dump_is_begun_anew(monkeypatch):
    torn = message(99, b"old") + message(99, b"old", flags=0x12) + DONE
    assert dump(monkeypatch, torn, message(99, b"new") + DONE) == [b"new"]


def test_a_dump_that_is_always_interrupted_is_an_error(monkeypatch):
    torn = message(99, b"old", flags=0x12) + DONE
    with pytest.raises(_nfnetlink.NetlinkError, match="changed during each"):
        dump(monkeypatch, *[torn] * 9)


def test_an_error_message_is_an_error_with_its_code(monkeypatch):
    with pytest.raises(_nfnetlink.NetlinkError, match="not permitted") as exc:
        dump(monkeypatch, message(2, struct.pack("=i", -errno.EPERM), flags=0))
    assert exc.value.code == errno.EPERM


def test_silence_is_an_error(monkeypatch):
    with pytest.raises(_nfnetlink.NetlinkError, match="timed out"):
        dump(monkeypatch, message(99))


@pytest.mark.parametrize("data", [struct.pack("=IHHII", 3, 1, 2, 1, 0), message(9, b"abc")[:17]])
def test_a_message_of_impossible_length_is_an_error(monkeypatch, data):
    with pytest.raises(_nfnetlink.NetlinkError, match="impossible"):
        dump(monkeypatch, data)


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_datagrams_end_in_bodies_or_an_error(datagrams):
    with pytest.MonkeyPatch.context() as monkeypatch:
        try:
            found = dump(monkeypatch, *datagrams, DONE)
        except _nfnetlink.NetlinkError:
            found = []
    assert all(isinstance(body, bytes) for body in found)


# -- /proc ----------------------------------------------------------------------------------


def test_ipvs_that_is_not_loaded_has_no_servers(tmp_path):
    assert _ipvs.virtual_servers(str(tmp_path / "ip_vs")) == []


@pytest.mark.parametrize(("text", "message"), [("TCP nonsense", "understood"), (None, "be read")])
def test_ipvs_that_cannot_be_read_is_an_error(tmp_path, text, message):
    path = tmp_path / "ip_vs"
    path.mkdir() if text is None else path.write_text(text)
    with pytest.raises(_ipvs.IpvsError, match=message):
        _ipvs.virtual_servers(str(path))


def test_settings_that_the_kernel_lacks_are_null(tmp_path):
    (tmp_path / "net/ipv4").mkdir(parents=True)
    (tmp_path / "net/ipv4/ip_forward").write_text("1\n")
    (tmp_path / "net/ipv4/odd").write_text("\n")
    keys = ("net.ipv4.ip_forward", "net.ipv4.odd", "net.ipv4.vs.conntrack")
    assert _sysctl.read(keys, str(tmp_path)) == {
        "net.ipv4.ip_forward": 1,
        "net.ipv4.odd": None,
        "net.ipv4.vs.conntrack": None,
    }


def test_a_running_kube_proxy_is_seen_by_its_name(tmp_path):
    (tmp_path / "self").mkdir()
    for pid, name in (("1", "systemd"), ("20", "kube-proxy-x")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{name}\n")
    (tmp_path / "30").mkdir()
    assert not _kube_proxy.running(str(tmp_path))
    (tmp_path / "30" / "comm").write_text("kube-proxy\n")
    assert _kube_proxy.running(str(tmp_path))


def test_a_node_that_could_not_be_read_has_every_key():
    found = _kube_proxy.nothing("why")
    assert found["errors"] == ["why"]
    assert set(found) == set(_kube_proxy.gather())
