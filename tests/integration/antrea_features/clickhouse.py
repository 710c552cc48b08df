# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Theia's ClickHouse as a double inside the lab, where the controller's tasks run.

python -m tests.integration.antrea_features.clickhouse FILE     statements that change it go there
"""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab

PORT = 8123


class Tables:
    """Columns of Theia's tables; ``told``: where statements that change them are kept."""

    def __init__(self, told: Path) -> None:
        names = ("appProtocolName", "egressNodeName")
        self.columns = [(table, name) for table in ("flows", "flows_local") for name in names]
        self.told = told

    def answer(self, query: str) -> dict[str, Any]:
        if query.startswith("ALTER TABLE default."):
            with self.told.open("a", encoding="utf-8") as file:
                file.write(f"{query}\n")
            words = query.split()
            self.columns.append((words[2].partition(".")[2], words[-2]))
        return {"data": [{"table": table, "name": name} for table, name in self.columns]}


class ClickHouse:
    """The double under way."""

    url = f"http://127.0.0.1:{PORT}"

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._file = folder / "told"
        self._file.touch()
        words = [sys.executable, "-m", __name__, str(self._file)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(lab.inside(words), stdout=pipe, text=True)
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    @property
    def told(self) -> list[str]:
        return self._file.read_text(encoding="utf-8").splitlines()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


def main(told: Path) -> None:
    tables = Tables(told)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"])).decode()
            body = json.dumps(tables.answer(query)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Nobody reads them."""

    server = HTTPServer(("127.0.0.1", PORT), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
