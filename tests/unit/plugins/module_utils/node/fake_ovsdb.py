# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An OVSDB with the one row that matters, that fails where a test tells it to."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading

UUID = "3f5ac2b0-0000-4000-8000-000000000001"
#: What can happen to a connection. The two last ones: before and after the transaction is applied.
FAULTS = ("ok", "close", "garbage", "silent", "lost before", "lost after", "half")


class FakeOvsdb:
    """Serves connections one by one; the n-th meets the n-th of ``faults``, later ones none.

    ``config`` is other_config. ``between`` runs before a transaction that writes is applied.
    """

    def __init__(self, config, faults=(), between=None, catches_up=True):
        self.config = dict(config)
        self.cur_cfg = self.next_cfg = 7
        self.writes = 0
        self._faults = list(faults)
        self._between = between
        self._catches_up = catches_up
        self._directory = tempfile.TemporaryDirectory(prefix="fake")
        self.path = os.path.join(self._directory.name, "db.sock")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self._directory.cleanup()

    def _serve(self):
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            fault = self._faults.pop(0) if self._faults else "ok"
            with connection:
                connection.settimeout(10)
                try:
                    self._talk(connection, fault)
                except OSError:
                    continue

    def _talk(self, connection, fault):
        if fault == "close":
            return
        received = b""
        while True:
            data = connection.recv(65536)
            if not data:
                return
            received += data
            try:
                request = json.loads(received)
            except ValueError:
                continue
            received = b""
            if fault == "lost before":
                return
            if fault == "silent":
                connection.recv(1)
                return
            if fault == "garbage":
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return
            answer = {"id": request["id"], "error": None, "result": self._run(request["params"])}
            if fault == "lost after":
                return
            encoded = json.dumps(answer).encode()
            connection.sendall(encoded[: len(encoded) // 2] if fault == "half" else encoded)
            if fault == "half":
                return

    def _run(self, params):
        operations = params[1:]
        writes = any(operation["op"] == "mutate" for operation in operations)
        if writes and self._between is not None:
            self._between(self)
        results, new = [], (dict(self.config), self.next_cfg)
        for operation in operations:
            if operation["op"] == "wait":
                if not self._matches(operation["where"]):
                    return [*results, {"error": "timed out", "details": "where"}]
                results.append({})
            elif operation["op"] == "mutate":
                assert operation["where"] == [["_uuid", "==", ["uuid", UUID]]]
                new = self._mutated(operation["mutations"])
                results.append({"count": 1})
            else:
                results.append({"rows": self._rows(operation, new[1])})
        self.config, self.next_cfg = new
        self.writes += writes
        if writes and self._catches_up:
            self.cur_cfg = self.next_cfg
        return results

    def _matches(self, where):
        first, second = where
        assert first == ["_uuid", "==", ["uuid", UUID]]
        assert second[:2] == ["other_config", "includes"]
        return all(self.config.get(key) == value for key, value in second[2][1])

    def _mutated(self, mutations):
        (column, how, pairs), counted = mutations
        assert (column, how) == ("other_config", "delete")
        assert counted == ["next_cfg", "+=", 1]
        gone = {key for key, value in pairs[1] if self.config.get(key) == value}
        return {k: v for k, v in self.config.items() if k not in gone}, self.next_cfg + 1

    def _rows(self, operation, next_cfg):
        if operation["table"] != "Open_vSwitch":
            return []
        row = {
            "_uuid": ["uuid", UUID],
            "other_config": ["map", [[k, v] for k, v in self.config.items()]],
            "cur_cfg": self.cur_cfg,
            "next_cfg": next_cfg,
            "ovs_version": "3.3.0",
            "db_version": "8.5.0",
        }
        return [{column: row[column] for column in operation["columns"]}]
