# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve the lab's Kubernetes API in the foreground, or make a kubeconfig for a user of it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from tests.lab.api import mint
from tests.lab.api.providers import Listen, StartError, choose


def _serve(options: argparse.Namespace) -> int:
    address, _unused, port = options.listen.rpartition(":")
    listen = Listen(address.strip("[]") or "127.0.0.1", int(port), tuple(options.also))
    provider = choose(options.dir, listen)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        provider.start()
        print(f"ready {provider.url} ({provider.name})", flush=True)
        ended.wait()
    except StartError as error:
        print(f"tests.lab.api: {error}", file=sys.stderr)
        return 1
    finally:
        provider.stop()
    return 0


def _mint(options: argparse.Namespace) -> int:
    rules = json.loads(sys.stdin.read() if options.rules == "-" else options.rules.read_text())
    path = options.out or options.dir / f"{options.name}.kubeconfig"
    mint.user(options.dir / "kubeconfig", options.name, rules, path)
    print(path)
    return 0


def _rules(text: str) -> Path | str:
    return "-" if text == "-" else Path(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.api", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve until SIGTERM or SIGINT")
    serve.add_argument("--listen", default="127.0.0.1:6443", metavar="ADDR:PORT")
    serve.add_argument("--also", action="append", default=[], metavar="ADDR")
    serve.add_argument("--dir", type=Path, required=True)
    serve.set_defaults(run=_serve)
    make = commands.add_parser("mint", help="make a user with the given RBAC rules")
    make.add_argument("--dir", type=Path, required=True)
    make.add_argument("--name", required=True)
    make.add_argument("--rules", type=_rules, required=True, help="JSON list of rules, - for stdin")
    make.add_argument("--out", type=Path)
    make.set_defaults(run=_mint)
    options = parser.parse_args()
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
