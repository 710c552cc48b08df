# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real etcd and kube-apiserver, from the directory that KUBEBUILDER_ASSETS names.

The flags are those of Kubernetes' own envtest (controller-runtime
``pkg/internal/testing/controlplane``), plus our certificates, a token file and a request log.
"""

from __future__ import annotations

import ctypes
import http.client
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab.api import audit, tls
from tests.lab.api.client import Client
from tests.lab.api.providers import (
    Listen,
    Provider,
    StartError,
    prepare,
    url_of,
    write_admin,
)

START_SECONDS = 90
STOP_SECONDS = 15
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _free_port(address: str) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """Leave nothing behind when this process is killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Assets(Provider):
    """Starts etcd on loopback and kube-apiserver in front of it, RBAC on."""

    name = "assets"

    def __init__(self, directory: Path, listen: Listen, binaries: Path) -> None:
        super().__init__(directory)
        self._listen = listen
        self._binaries = binaries
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self) -> None:
        for name in ("etcd", "kube-apiserver"):
            if not (self._binaries / name).is_file():
                raise StartError(
                    f"{name} not found in KUBEBUILDER_ASSETS={self._binaries}. Unset it to use the "
                    "API double, or point it at a directory that holds etcd and kube-apiserver."
                )
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)
        token = prepare(self.directory, self._listen)
        tls.make_signing_key(self.directory / "sa.key")
        (self.directory / "audit-policy.yaml").write_text(audit.POLICY, encoding="utf-8")
        port = self._listen.port or _free_port(self._listen.address)
        self.url = url_of(self._listen.address, port)
        write_admin(self.directory, self.url, token)
        try:
            etcd = self._start_etcd()
            self._start_apiserver(etcd, port)
        except BaseException:
            self.stop()
            raise

    def _run(self, name: str, arguments: list[str]) -> None:
        log = (self.directory / f"{name}.log").open("wb")
        command = [str(self._binaries / name), *arguments]
        with log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        self._running.append((name, process))

    def _await(self, what: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + START_SECONDS
        name, process = self._running[-1]
        log = self.directory / f"{name}.log"
        while not ready():
            if process.poll() is not None:
                tail = log.read_text(errors="replace").splitlines()[-5:]
                raise StartError(
                    f"{name} ended with code {process.returncode} before {what}; its log {log} "
                    "ends: " + " | ".join(tail)
                )
            if time.monotonic() > until:
                raise StartError(f"{what}: not within {START_SECONDS} s; see {log}")
            time.sleep(0.1)  # between two looks at the condition

    def _start_etcd(self) -> str:
        client, peer = _free_port("127.0.0.1"), _free_port("127.0.0.1")
        url = f"http://127.0.0.1:{client}"
        arguments = [
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync=true",
        ]
        self._run("etcd", arguments)
        self._await("etcd is healthy", lambda: _healthy(client))
        return url

    def _start_apiserver(self, etcd: str, port: int) -> None:
        here = self.directory
        address = self._listen.address
        loopback = address in ("127.0.0.1", "::1")
        arguments = [
            f"--etcd-servers={etcd}",
            f"--cert-dir={here}",
            f"--bind-address={self._listen.bind}",
            f"--advertise-address={address}",
            f"--secure-port={port}",
            f"--tls-cert-file={here / 'server.crt'}",
            f"--tls-private-key-file={here / 'server.key'}",
            f"--client-ca-file={here / 'ca.crt'}",
            f"--token-auth-file={here / 'tokens'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={here / 'sa.key'}",
            f"--service-account-signing-key-file={here / 'sa.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            f"--audit-policy-file={here / 'audit-policy.yaml'}",
            f"--audit-log-path={here / 'audit.log'}",
            "--audit-log-mode=blocking",
        ]
        if loopback:  # it refuses to publish a loopback address as the Service's endpoint
            arguments.append("--endpoint-reconciler-type=none")
        self._run("kube-apiserver", arguments)
        client = Client(self.kubeconfig, "k8snet-lab", timeout=10)
        self._await("kube-apiserver answers /readyz", lambda: _ready(client))

    def stop(self) -> None:
        """End both, kube-apiserver first, and wait for them."""
        while self._running:
            _name, process = self._running.pop()
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200 and b'"true"' in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ready(client: Client) -> bool:
    """Tell whether it is ready and has made the namespaces and the roles that it makes itself."""
    wanted = (
        "/readyz",
        "/api/v1/namespaces/default",
        "/api/v1/namespaces/kube-system",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:basic-user",
    )
    try:
        return all(client.raw("GET", path)[0] == 200 for path in wanted)
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return False
