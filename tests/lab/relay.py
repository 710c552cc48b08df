# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries connections from the lab's network to a server outside it: an existing cluster's API.

    python -m tests.lab.relay LISTENER NETWORK HOST PORT

LISTENER is an inherited descriptor of a socket that listens in the lab's network, NETWORK one of
the network namespace from which HOST:PORT is reached. TLS passes through untouched: the client has
to expect the server's own name (`point_at` writes that into a kubeconfig).
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

_CLONE_NEWNET = 0x40000000


def point_at(kubeconfig: Path, url: str) -> tuple[str, int]:
    """Makes a kubeconfig (JSON) connect to `url` and still check the server's own name.

    Returns host and port of the server that it named before.
    """
    config = json.loads(kubeconfig.read_text())
    chosen = next(c for c in config["contexts"] if c["name"] == config["current-context"])
    name = chosen["context"]["cluster"]
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == name)
    server = urlsplit(cluster["server"])
    host = server.hostname or ""
    cluster.setdefault("tls-server-name", host)
    cluster["server"] = url
    kubeconfig.write_text(json.dumps(config, indent=1) + "\n")
    return host, server.port or 443


def _pump(source: socket.socket, target: socket.socket) -> None:
    # Either end may hang up at any moment; then the other one is told, unless it is gone as well.
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with suppress(OSError):
            end.shutdown(how)


def _carry(client: socket.socket, address: tuple[str, int]) -> None:
    with client:
        try:
            server = socket.create_connection(address, timeout=10)
        except OSError as error:
            print(f"relay: {address[0]}:{address[1]}: {error}", file=sys.stderr, flush=True)
            return
        with server:
            server.settimeout(None)
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()


def main() -> int:
    listener, network = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET) != 0:
        print(f"relay: setns: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        return 1
    address = (sys.argv[3], int(sys.argv[4]))
    while True:
        client, _unused = listener.accept()
        threading.Thread(target=_carry, args=(client, address), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
