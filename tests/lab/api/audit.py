# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The request log: one JSON line per request, in kube-apiserver's own form on either provider.

Both write ``audit.k8s.io/v1`` Events to ``audit.log``, so a test counts requests the same way.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tests.lab.api.errors import Obj

WRITING = ("create", "update", "patch", "delete", "deletecollection")
POLICY = (
    "apiVersion: audit.k8s.io/v1\n"
    "kind: Policy\n"
    "omitStages: [RequestReceived]\n"
    "rules:\n"
    "  - level: Metadata\n"
)


@dataclass(frozen=True)
class Entry:
    """One answered request: a watch counts from its first byte."""

    verb: str
    path: str
    user: str
    code: int
    resource: str
    name: str
    dry_run: bool
    agent: str

    @property
    def wrote(self) -> bool:
        """Tell whether the request may have changed something: reviews and dry runs do not."""
        reviews = self.resource.endswith("reviews")
        return self.verb in WRITING and not reviews and not self.dry_run and self.code < 300


def stamp() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Log:
    """Appends entries to a file; used by the double only."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("ab")

    def write(self, entry: Obj, stage: str, code: int) -> None:
        line = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": str(uuid.uuid4()),
            "stage": stage,
            **entry,
            "responseStatus": {"metadata": {}, "code": code},
            "stageTimestamp": stamp(),
        }
        with self._lock:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path, user: str | None = None) -> Iterator[Entry]:
    """Yield the requests logged so far, of one user when given."""
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            event = json.loads(line)
            watching = event.get("verb") == "watch"
            if event.get("stage") != ("ResponseStarted" if watching else "ResponseComplete"):
                continue
            name = (event.get("user") or {}).get("username", "")
            if user is not None and name != user:
                continue
            ref = event.get("objectRef") or {}
            uri = event.get("requestURI", "")
            yield Entry(
                verb=event.get("verb", ""),
                path=uri,
                user=name,
                code=int((event.get("responseStatus") or {}).get("code", 0)),
                resource=ref.get("resource", ""),
                name=ref.get("name", ""),
                dry_run="dryRun=All" in uri,
                agent=event.get("userAgent", ""),
            )
