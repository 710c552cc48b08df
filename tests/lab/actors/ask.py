# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One request to the API, to be run inside the lab's network; prints the answer's body.

python -m tests.lab.actors.ask --kubeconfig F PATCH /api/v1/... --body '{...}'
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.lab.api.client import MERGE, ApiStatus, Client


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.actors.ask", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("method")
    parser.add_argument("path")
    parser.add_argument("--body", type=json.loads)
    parser.add_argument("--media", default=MERGE, help="of a PATCH")
    words = parser.parse_args()
    kind = {"Content-Type": words.media} if words.method == "PATCH" else None
    client = Client(words.kubeconfig, "k8snet-scene")
    try:
        print(json.dumps(client.call(words.method, words.path, words.body, kind)))
    except ApiStatus as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
