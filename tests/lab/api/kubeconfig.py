# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubeconfigs, written as JSON (which is YAML): nodes without a YAML parser read them too."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.lab.api.errors import Obj
from tests.lab.api.tls import write_private


def build(server: str, ca: bytes, user: str, token: str) -> Obj:
    """Return a kubeconfig with one cluster and one user who has a bearer token."""
    data = base64.b64encode(ca).decode()
    cluster = {"server": server, "certificate-authority-data": data}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        "current-context": "lab",
    }


def write(path: Path, config: Obj) -> None:
    """Write a kubeconfig that only its owner may read: it holds a token."""
    write_private(path, json.dumps(config, indent=2).encode() + b"\n")
