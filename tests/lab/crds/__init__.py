# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CRDs of the tests, and how to load any CRDs into an API so that they are served."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab.api.client import JSON_PATCH, ApiStatus, Client

Obj = dict[str, Any]

HERE = Path(__file__).resolve().parent
NAMES = ("calico", "antrea", "multus")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVED_SECONDS = 30


def documents(path: Path) -> list[Obj]:
    """Return the YAML documents of a file that are objects."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = path.read_text(encoding="utf-8")
    return [doc for doc in yaml.load_all(text, Loader=loader) if doc]


def ours(*names: str) -> list[Obj]:
    """Return the CRDs written for the tests, of the named folders (default: all)."""
    files = [path for name in names or NAMES for path in sorted((HERE / name).glob("*.yaml"))]
    return [crd for path in files for crd in documents(path)]


def load(client: Client, crds: Iterable[Obj]) -> None:
    """Create CRDs (or replace the spec of those that are there), and wait until each is served."""
    wanted = list(crds)
    for crd in wanted:
        try:
            client.create(CRDS, crd)
        except ApiStatus as error:
            if error.reason != "AlreadyExists":
                raise
            change = [{"op": "replace", "path": "/spec", "value": crd["spec"]}]
            client.patch(f"{CRDS}/{crd['metadata']['name']}", change, JSON_PATCH)
    until = time.monotonic() + SERVED_SECONDS
    for crd in wanted:
        _await_served(client, crd, until)


def remove(client: Client, crds: Iterable[Obj]) -> None:
    """Delete CRDs with all their objects, and wait until they are gone."""
    paths = [f"{CRDS}/{crd['metadata']['name']}" for crd in crds]
    for path in paths:
        client.delete(path)
    until = time.monotonic() + SERVED_SECONDS
    while any(client.find(path) for path in paths):
        if time.monotonic() > until:
            raise TimeoutError(f"CRDs are not gone after {SERVED_SECONDS} s")
        time.sleep(0.1)  # between two looks at the condition


def _await_served(client: Client, crd: Obj, until: float) -> None:
    spec = crd["spec"]
    paths = [
        f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
        for version in spec["versions"]
        if version.get("served")
    ]
    while not all(client.raw("GET", f"{path}?limit=1")[0] == 200 for path in paths):
        if time.monotonic() > until:
            name = crd["metadata"]["name"]
            raise TimeoutError(f"CRD {name} is not served after {SERVED_SECONDS} s")
        time.sleep(0.1)  # between two looks at the condition
