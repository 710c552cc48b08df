# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to the API from inside the lab's network: one JSON line in for each, one line out.

python -m tests.lab.actors.ask --kubeconfig F     reads {"method", "path", "body", "media"}
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tests.lab.api.client import ApiStatus, Client


def answer(client: Client, asked: dict[str, Any]) -> dict[str, Any]:
    """Return {"body"}, or {"error"} when the request was refused or not answered."""
    method = asked["method"]
    kind = {"Content-Type": asked["media"]} if method == "PATCH" else None
    try:
        return {"body": client.call(method, asked["path"], asked["body"], kind)}
    except (ApiStatus, OSError) as error:
        return {"error": str(error)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.actors.ask", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    client = Client(parser.parse_args().kubeconfig, "k8snet-scene")
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
