# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Feature gates of the antrea-agent that runs on this node, asked of the process itself.

``GET /featuregates`` answers what the process has read at its start, which the ConfigMap does not
tell. The agent writes a new token and makes a new certificate each time it starts.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

TOKEN = "/var/run/antrea/apiserver/loopback-client-token"  # noqa: S105
PORT = 10350
ADDRESS = "127.0.0.1"
_REQUEST_SECONDS = 5
#: Far more than all gates take.
_MOST_BYTES = 1 << 20
_ENABLED = {"Enabled": True, "Disabled": False}


class GatesError(Exception):
    """The agent could not be asked; the text says what, where and the remedy, never the token."""


class NotSo(Exception):
    """What is expected does not run in time; ``result`` is what was seen last."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Request:
    """``expected``: gate -> whether it shall be on. ``wait``: until that is so."""

    expected: Mapping[str, bool]
    wait: bool = False
    wait_timeout: float = 60
    poll: float = 1
    port: int = PORT
    token: str = TOKEN


def ask(port: int, token_file: str) -> list[dict[str, str]]:
    """Return the running agent's gates. Raises `GatesError`."""
    token = _token(token_file)
    # The certificate is made anew at each start and signed by nobody, so there is nothing to check
    # it by. Nothing but this node's loopback device is asked.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        ADDRESS, port, timeout=_REQUEST_SECONDS, context=context
    )
    try:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        connection.request("GET", "/featuregates", headers=headers)
        answer = connection.getresponse()
        body = answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise GatesError(
            f"antrea-agent does not answer on {ADDRESS}:{port}: {_words(error)}. Does it run, and "
            "is that its apiPort?"
        ) from None
    finally:
        connection.close()
    return _gates(answer.status, body, port, token_file)


def _token(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise GatesError(
            f"There is no {path}: antrea-agent has not started on this node since it booted."
        ) from None
    except PermissionError:
        raise GatesError(f"Cannot read {path}: only root may. Run the task with become.") from None
    except (OSError, ValueError) as error:
        raise GatesError(f"Cannot read {path}: {_words(error)}.") from None
    if not token.isprintable() or not token or " " in token:
        raise GatesError(f"{path} holds no token.")
    return token


def _words(error: Exception) -> str:
    """Return the error's own words; those of a codec would quote the token."""
    if isinstance(error, UnicodeError):
        return "it is no text"
    return getattr(error, "strerror", None) or type(error).__name__


def _gates(status: int, body: bytes, port: int, token_file: str) -> list[dict[str, str]]:
    if status in (401, 403):
        raise GatesError(
            f"antrea-agent on {ADDRESS}:{port} does not take the token of {token_file}: it is "
            "starting anew, or another program listens there."
        )
    if status != 200:
        raise GatesError(f"antrea-agent on {ADDRESS}:{port} answers /featuregates with {status}.")
    try:
        return [
            {key: str(entry[key]) for key in ("component", "name", "status", "version")}
            for entry in json.loads(body)
        ]
    except (ValueError, KeyError, TypeError):
        raise GatesError(
            f"What listens on {ADDRESS}:{port} does not answer as antrea-agent does."
        ) from None


def look(request: Request) -> dict[str, Any]:
    """Return what the agent says now, and what differs from what is expected."""
    gates: list[dict[str, str]] = []
    error = None
    try:
        gates = ask(request.port, request.token)
    except GatesError as unheard:
        error = str(unheard)
    running = {gate["name"]: _ENABLED.get(gate["status"]) for gate in gates}
    return {
        "reached": error is None,
        "error": error,
        "gates": gates,
        "differing": [
            {"name": name, "expected": wanted, "running": running.get(name)}
            for name, wanted in request.expected.items()
            if running.get(name) is not wanted
        ],
    }


def run(
    request: Request,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Return the module's result, with ``wait`` once all is as expected. Raises `NotSo`."""
    begun = clock()
    while True:
        found = look(request)
        spent = clock() - begun
        result = {**found, "seconds": round(spent, 1)}
        if not request.wait or (found["reached"] and not found["differing"]):
            return result
        if spent >= request.wait_timeout:
            raise NotSo(f"Not so after {request.wait_timeout:g} s: {missing(found)}", result)
        sleep(min(request.poll, request.wait_timeout - spent))


def missing(found: Mapping[str, Any]) -> str:
    """Return what is not as expected, as a sentence."""
    if found["error"]:
        return str(found["error"])
    words = {True: "on", False: "off", None: "unknown to it"}
    said = ", ".join(
        f"{gate['name']} is {words[gate['running']]} and shall be {words[gate['expected']]}"
        for gate in found["differing"]
    )
    return f"the running antrea-agent has other gates: {said}."
