# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults on demand, for tests of what a client does when the API is ill. The double only.

``faults.json`` in the API's directory is a list of rules, read again whenever it changes::

    [{"id": "a", "verbs": ["list"], "path": "^/api/v1/nodes", "user": "audit", "skip": 1,
      "times": 2, "status": 429, "retry_after": 1}]

All of ``verbs``, ``path`` (a pattern searched in the URI) and ``user`` that are given must match.
``skip`` matches pass first, then ``times`` are hit (default: all). The effect is one of ``status``
(429, 500, 503, ...), ``disconnect_after`` (bytes of the body), ``expire_pages`` (true: the next
page answers 410); ``delay`` (seconds) may go with any of them or stand alone.
"""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

from tests.lab.api.errors import ApiError, Obj, internal, too_many


class Faults:
    """The rules in force, with a count of hits by their ``id``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = (0, 0)
        self._rules: list[Obj] = []
        self._hits: dict[str, int] = {}

    def _load(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._rules, self._stamp, self._hits = [], (0, 0), {}
            return
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._rules = json.loads(self._path.read_text(encoding="utf-8"))
            self._stamp = stamp
            self._hits = {}

    def hit(self, verb: str, uri: str, user: str) -> Obj | None:
        """Return the rule that strikes this request, None for the usual answer."""
        with self._lock:
            self._load()
            for index, rule in enumerate(self._rules):
                if not _matches(rule, verb, uri, user):
                    continue
                mark = str(rule.get("id", index))
                self._hits[mark] = count = self._hits.get(mark, 0) + 1
                skip = int(rule.get("skip", 0))
                times = rule.get("times")
                if count > skip and (times is None or count <= skip + int(times)):
                    return rule
        return None


def _matches(rule: Obj, verb: str, uri: str, user: str) -> bool:
    return (
        ("verbs" not in rule or verb in rule["verbs"])
        and ("user" not in rule or rule["user"] == user)
        and re.search(rule.get("path", ""), uri) is not None
    )


def error(rule: Obj) -> ApiError | None:
    """Return the error that a rule asks for."""
    code = rule.get("status")
    if code is None:
        return None
    if code == 429:
        return too_many(int(rule.get("retry_after", 1)))
    if code == 500:
        return internal("a fault was asked for")
    return ApiError(int(code), str(rule.get("reason", "")), "a fault was asked for")
