# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking an agent's API for its gates: over TLS, with the token, which is never told."""

from __future__ import annotations

import json
import socket
import ssl
import threading

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _antrea_gates as gates

from tests.lab.actors import health
from tests.lab.api import tls

TOKEN = "token-of-this-life"
SAID = [
    {"component": "agent", "name": "Egress", "status": "Enabled", "version": "BETA"},
    {"component": "agent", "name": "SecondaryNetwork", "status": "Disabled", "version": "ALPHA"},
]
ANSWER = json.dumps(SAID)


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def agent(tmp_path, port):
    """An agent's API; called with what it answers."""
    ended = threading.Event()
    pem = tmp_path / "agent.pem"
    pem.write_bytes(tls.make_pair("antrea-agent"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    (tmp_path / "token").write_text(TOKEN)

    def start(body=ANSWER, code=200, token=TOKEN):
        pages = {"/featuregates": lambda: (code, body)}
        health.serve("127.0.0.1", port, pages, ended, context, token)

    yield start
    ended.set()


def look(port, tmp_path, **expected):
    request = gates.Request(expected, True, 5, 0.05, port, str(tmp_path / "token"))
    return gates.run(request)


def test_gates_of_the_process(agent, port, tmp_path):
    agent()
    found = look(port, tmp_path, Egress=True, SecondaryNetwork=False)
    assert (found["reached"], found["error"], found["gates"]) == (True, None, SAID)
    assert found["differing"] == []


def test_what_differs_is_awaited_and_then_told(agent, port, tmp_path):
    agent()
    request = gates.Request(
        {"Egress": False, "Bogus": True}, True, 0.2, 0.05, port, str(tmp_path / "token")
    )
    with pytest.raises(gates.NotSo) as late:
        gates.run(request)
    assert "Egress is on and shall be off, Bogus is unknown to it and shall be on" in str(
        late.value
    )
    assert late.value.result["differing"] == [
        {"name": "Egress", "expected": False, "running": True},
        {"name": "Bogus", "expected": True, "running": None},
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"token": "another"}, "does not take the token"),
        ({"code": 500}, "answers /featuregates with 500"),
        ({"body": "<html>"}, "does not answer as antrea-agent does"),
        ({"body": '[{"name": "Egress"}]'}, "does not answer as antrea-agent does"),
    ],
)
def test_other_answers_are_no_gates(agent, port, tmp_path, answer, words):
    agent(**answer)
    with pytest.raises(gates.NotSo) as late:
        gates.run(gates.Request({}, True, 0.3, 0.05, port, str(tmp_path / "token")))
    assert words in str(late.value)
    assert TOKEN not in str(late.value) + str(late.value.result)


def test_nobody_listens(port, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    found = gates.run(gates.Request({"Egress": True}, port=port, token=str(tmp_path / "token")))
    assert found["error"].startswith(
        f"antrea-agent does not answer on 127.0.0.1:{port}: Connection refused."
    )
    assert (found["reached"], len(found["differing"])) == (False, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "antrea-agent has not started on this node"),
        (b"", "holds no token"),
        (b"two words", "holds no token"),
        (b"\xfftoken", "it is no text"),
    ],
)
def test_no_token(tmp_path, port, content, words):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    found = gates.look(gates.Request({}, port=port, token=str(tmp_path / "token")))
    assert words in found["error"]
