# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""antrea-agent's own API: /featuregates on port 10350, over TLS, for who bears this life's token.

The real one makes its certificate at each start. A node of the lab has nothing to make one with, so
the scene puts one there, once.
"""

from __future__ import annotations

import json
import secrets
import ssl
import threading
from pathlib import Path
from typing import Any

from tests.lab.actors.health import serve

PORT = 10350
CERTIFICATE = Path("/etc/k8snet-lab-agent.pem")
TOKEN = Path("/var/run/antrea/apiserver/loopback-client-token")


def start(gates: list[dict[str, Any]], ended: threading.Event) -> None:
    """Leave a new token, and answer what this process runs with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    token = secrets.token_urlsafe(32)
    TOKEN.parent.mkdir(parents=True, exist_ok=True)
    TOKEN.touch(mode=0o600)
    TOKEN.write_text(token, encoding="ascii")
    pages = {"/featuregates": lambda: (200, json.dumps(gates) + "\n")}
    serve("0.0.0.0", PORT, pages, ended, context, token)
