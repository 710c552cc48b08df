# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the central actors share: run again when something watched changes, until told to stop."""

from __future__ import annotations

import http.client
import threading
import time
from abc import ABC, abstractmethod
from typing import Any

from tests.lab.api.client import ApiStatus, Client

Obj = dict[str, Any]

_API_FAULTS = (ApiStatus, OSError, http.client.HTTPException)
_BACK_OFF = (0.1, 0.2, 0.5, 1.0, 2.0)


def stamp() -> str:
    """Return the time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Actor(ABC):
    """A control loop: ``reconcile`` at start, after each change, and every ``resync`` seconds."""

    name = ""
    watched: tuple[str, ...] = ()

    def __init__(self, client: Client, resync: float = 1.0) -> None:
        self.client = client
        self.resync = resync
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._said = ""

    @abstractmethod
    def reconcile(self) -> None:
        """Bring the world one step closer to what is wanted."""

    def say(self, text: str) -> None:
        """Print a line unless it was the last one printed."""
        if text != self._said:
            print(f"{self.name}: {text}", flush=True)
            self._said = text

    def run(self) -> None:
        """Work until ``stop``. What the API refuses is tried again, with back-off."""
        for path in self.watched:
            threading.Thread(target=self._watch, args=(path,), daemon=True).start()
        failures = 0
        while not self._ended.is_set():
            self._changed.clear()
            try:
                self.reconcile()
                failures = 0
            except _API_FAULTS as error:
                self.say(f"will try again: {error}")
                self._ended.wait(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
                failures += 1
                continue
            self._changed.wait(self.resync)

    def stop(self) -> None:
        self._ended.set()
        self._changed.set()

    def _watch(self, path: str) -> None:
        version = ""
        failures = 0
        while not self._ended.is_set():
            try:
                if not version:
                    version = self.client.get(path, limit=1)["metadata"]["resourceVersion"]
                    self._changed.set()
                for event in self.client.watch(path, seconds=60, resourceVersion=version):
                    if event["type"] == "ERROR":
                        version = ""
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    self._changed.set()
                failures = 0
            except _API_FAULTS:
                version = ""
                self._ended.wait(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
                failures += 1
