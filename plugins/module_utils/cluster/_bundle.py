# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a run's undo bundle is kept: a file on the controller, or a Secret in the cluster.

A bundle is written once, before the run's first write, and never again: a run that is resumed must
find how things were at first, not how it left them.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import os
from typing import Any, Protocol

from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import Patience, uncertain
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._report_file import (
    SECRET_LIMIT,
    Folder,
    ReportError,
)

Obj = dict[str, Any]

FILE = "cluster.json"
LABEL = "k8snet.cni/undo-bundle"
_KEY = "cluster.json.gz"
_ENVELOPE = 4096


class BundleError(Exception):
    """The bundle cannot be kept or read; the text says what, where and the remedy."""


class Store(Protocol):
    """A place for bundles."""

    def where(self, run_id: str) -> str:
        """Return where a run's bundle is kept, for people."""

    def load(self, run_id: str) -> Obj | None:
        """Return a bundle, None if there is none."""

    def create(self, run_id: str, content: Obj) -> bool:
        """Keep a bundle; False if there is one already, which stays as it is."""

    def names(self) -> list[str]:
        """Return the run ids that have a bundle, sorted."""


def digest(content: Obj) -> str:
    """Return sha256 over a bundle."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _decoded(data: bytes, where: str) -> Obj:
    try:
        content = json.loads(data)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise BundleError(
            f"Failed to read the undo bundle {where}: it is no JSON object. It was not written by "
            "k8snet.cni.undo_bundle, or was damaged; restore it from a copy."
        )
    return content


class Files:
    """Bundles as ``<directory>/<run id>/cluster.json``, 0600 in 0700."""

    _setting = "k8snet_undo_dir"

    def __init__(self, directory: str) -> None:
        self.directory = os.path.abspath(os.path.expanduser(directory))

    def where(self, run_id: str) -> str:
        return os.path.join(self.directory, run_id, FILE)

    def _folder(self, *parts: str) -> Folder:
        path = os.path.join(self.directory, *parts)
        if parts and os.path.islink(path):
            raise BundleError(
                f"Failed to use {path}: it is a symbolic link, and undo bundles are not kept "
                "behind links that others may have made. Remove it, or use another "
                f"{self._setting}."
            )
        return Folder(path, self._setting, "undo bundles")

    def load(self, run_id: str) -> Obj | None:
        if not os.path.lexists(os.path.join(self.directory, run_id)):
            return None
        try:
            folder = self._folder(run_id)
            try:
                data = folder.read(FILE)
            finally:
                folder.close()
        except ReportError as error:
            raise BundleError(str(error)) from None
        return None if data is None else _decoded(data, self.where(run_id))

    def create(self, run_id: str, content: Obj) -> bool:
        data = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
        try:
            self._folder().close()
            folder = self._folder(run_id)
            try:
                return folder.create(FILE, data)
            finally:
                folder.close()
        except ReportError as error:
            raise BundleError(str(error)) from None

    def names(self) -> list[str]:
        try:
            found = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BundleError(
                f"Failed to list the undo bundles in {self.directory}: {error.strerror}. Set "
                f"{self._setting} to a folder that the user who runs Ansible may read."
            ) from None
        return sorted(n for n in found if os.path.isfile(self.where(n)))


class Secrets:
    """Bundles as immutable Secrets ``k8snet-undo-<run id>``."""

    def __init__(self, api: Api, namespace: str, patience: Patience) -> None:
        self._api = api
        self._namespace = namespace
        self._patience = patience
        self._path = f"/api/v1/namespaces/{namespace}/secrets"

    def _name(self, run_id: str) -> str:
        return f"k8snet-undo-{run_id}"

    def where(self, run_id: str) -> str:
        return f"Secret {self._namespace}/{self._name(run_id)}"

    def load(self, run_id: str) -> Obj | None:
        while True:
            try:
                secret = self._api.get(f"{self._path}/{self._name(run_id)}")
                break
            except ClusterError as error:
                if error.kind == "not_found":
                    return None
                self._patience.again(error)
        try:
            packed = base64.b64decode((secret.get("data") or {})[_KEY], validate=True)
            data = gzip.decompress(packed)
        except (KeyError, binascii.Error, OSError, EOFError):
            data = b""
        return _decoded(data, self.where(run_id))

    def create(self, run_id: str, content: Obj) -> bool:
        text = json.dumps(content, separators=(",", ":")).encode()
        packed = base64.b64encode(gzip.compress(text, 9, mtime=0)).decode()
        if len(packed) + _ENVELOPE > SECRET_LIMIT:
            raise BundleError(
                f"Failed to keep the undo bundle in a Secret: it is {len(packed)} bytes "
                f"compressed, and a Secret holds {SECRET_LIMIT}. Use a folder on the controller "
                "instead (k8snet_undo_dir)."
            )
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self._name(run_id),
                "namespace": self._namespace,
                "labels": {LABEL: run_id[:63].rstrip("-.")},
            },
            "type": "Opaque",
            "immutable": True,
            "data": {_KEY: packed},
        }
        sent = False
        while True:
            try:
                self._api.request("POST", self._path, body=secret)
                return True
            except ClusterError as error:
                if error.kind == "conflict":
                    return sent and self.load(run_id) == content
                if error.kind == "not_found":
                    raise BundleError(
                        f"Failed to keep the undo bundle: namespace {self._namespace} does not "
                        "exist. Create it, or name another."
                    ) from None
                sent = sent or uncertain(error)
                self._patience.again(error)

    def names(self) -> list[str]:
        prefix = self._name("")
        query = {"labelSelector": LABEL}
        while True:
            try:
                items = self._api.get(self._path, query).get("items") or []
                break
            except ClusterError as error:
                self._patience.again(error)
        names = [str(i["metadata"]["name"]) for i in items]
        return sorted(n[len(prefix) :] for n in names if n.startswith(prefix))
