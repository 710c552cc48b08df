# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Kubernetes API of the lab: a real one when there is one, else the double.

- ``KUBECONFIG`` given: that cluster is used as it is; nothing is started.
- ``KUBEBUILDER_ASSETS`` given (envtest's convention: a directory with ``etcd`` and
  ``kube-apiserver``): these are started, with RBAC.
- otherwise the API double of this package.

Each writes ``ca.crt`` and ``kubeconfig`` (of an administrator) into its directory; the two that are
started here also write ``tokens`` and ``audit.log`` there.
"""

from __future__ import annotations

import os
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.api import kubeconfig, tls
from tests.lab.api.errors import Obj
from tests.lab.api.httpd import Server
from tests.lab.api.service import Service

ADMIN = "k8snet-admin"


class StartError(Exception):
    """The API could not be started; the message says what, why, and what to do about it."""


@dataclass(frozen=True)
class Listen:
    """Where to serve: the address clients are told, the port (0: any), other addresses of it."""

    address: str = "127.0.0.1"
    port: int = 0
    also: tuple[str, ...] = field(default=())

    @property
    def bind(self) -> str:
        if not self.also:
            return self.address
        return "::" if ":" in self.address else "0.0.0.0"

    @property
    def addresses(self) -> list[str]:
        return [self.address, *self.also]


class Provider(ABC):
    """An API server for tests. ``name`` is double, assets or cluster."""

    name = ""
    can_fault = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.url = ""

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def audit_log(self) -> Path | None:
        """Return the request log; None where the provider keeps none for us."""
        return self.directory / "audit.log"

    @abstractmethod
    def start(self) -> None:
        """Serve; return when requests are answered."""

    @abstractmethod
    def stop(self) -> None:
        """End what ``start`` started."""

    def describe(self) -> str:
        return f"{self.name} at {self.url}"


def prepare(directory: Path, listen: Listen) -> str:
    """Write CA, server certificate and the token file; return the administrator's token."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls.make(directory, listen.addresses)
    token = secrets.token_urlsafe(32)
    line = f'{token},{ADMIN},{ADMIN},"system:masters"\n'
    tls.write_private(directory / "tokens", line.encode())
    for name in ("audit.log", "faults.json"):
        (directory / name).unlink(missing_ok=True)
    return token


def url_of(address: str, port: int) -> str:
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"


def write_admin(directory: Path, url: str, token: str) -> None:
    ca = (directory / "ca.crt").read_bytes()
    kubeconfig.write(directory / "kubeconfig", kubeconfig.build(url, ca, ADMIN, token))


class Double(Provider):
    """The API double, in this process."""

    name = "double"
    can_fault = True

    def __init__(self, directory: Path, listen: Listen) -> None:
        super().__init__(directory)
        self._listen = listen
        self._server: Server | None = None

    def start(self) -> None:
        token = prepare(self.directory, self._listen)
        where = f"{self._listen.address}:{self._listen.port}"
        service = Service(self.directory / "tokens", where)
        bind = (self._listen.bind, self._listen.port)
        try:
            self._server = Server(bind, self.directory, service)
        except OSError as error:
            raise StartError(
                f"cannot listen on {bind[0]} port {bind[1]}: {error}. Choose another with --listen."
            ) from error
        self.url = url_of(self._listen.address, self._server.server_address[1])
        write_admin(self.directory, self.url, token)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


class Cluster(Provider):
    """A cluster that is there already, named by KUBECONFIG. It is never started or stopped."""

    name = "cluster"

    def __init__(self, directory: Path, source: str) -> None:
        super().__init__(directory)
        self._source = source

    @property
    def audit_log(self) -> Path | None:
        return None

    def start(self) -> None:
        import yaml

        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(self._source.split(os.pathsep)[0]).expanduser()
        try:
            config: Obj = yaml.safe_load(path.read_text(encoding="utf-8"))
            self.url = _current(config)["server"]
            ca = _embed(config, path.parent)
        except (OSError, KeyError, TypeError, StopIteration, yaml.YAMLError) as error:
            raise StartError(
                f"KUBECONFIG={path} cannot be used: {error!r}. Unset it to use the API double."
            ) from error
        (self.directory / "ca.crt").write_bytes(ca)
        kubeconfig.write(self.kubeconfig, config)

    def stop(self) -> None:
        """Leave the cluster alone."""


def _named(items: list[Obj], name: str, kind: str) -> Obj:
    found: Obj = next(item for item in items if item["name"] == name)[kind]
    return found


def _current(config: Obj) -> Obj:
    context = _named(config["contexts"], config["current-context"], "context")
    return _named(config["clusters"], context["cluster"], "cluster")


def _embed(config: Obj, base: Path) -> bytes:
    """Put the files that a kubeconfig names into it, as it is copied elsewhere; return the CA."""
    from base64 import b64decode, b64encode

    holders = [item["cluster"] for item in config["clusters"]]
    holders += [item["user"] for item in config["users"]]
    for holder in holders:
        for key in ("certificate-authority", "client-certificate", "client-key"):
            name = holder.pop(key, None)
            if name:
                data = (base / name).read_bytes()
                holder[f"{key}-data"] = b64encode(data).decode()
    return b64decode(_current(config).get("certificate-authority-data", ""))


def choose(directory: Path, listen: Listen, environ: Mapping[str, str] | None = None) -> Provider:
    """Return the provider that the environment asks for, not yet started."""
    environ = os.environ if environ is None else environ
    if environ.get("KUBECONFIG"):
        return Cluster(directory, environ["KUBECONFIG"])
    if environ.get("KUBEBUILDER_ASSETS"):
        from tests.lab.api.assets import Assets

        return Assets(directory, listen, Path(environ["KUBEBUILDER_ASSETS"]))
    return Double(directory, listen)
