# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing a report on the controller, in a folder that others may write to.

The folder is opened once and everything happens relative to it. A new file appears whole or not
at all, readable by its owner only, and no symbolic link is followed to write anywhere else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import secrets
import stat
from typing import Any

# A Secret holds 1 MiB at most; encoded data and the object around it have to fit.
SECRET_LIMIT = 1048576
_ENVELOPE = 4096


class ReportError(Exception):
    """The report could not be written; the text says what, where and the remedy."""


def digest(report: dict[str, Any]) -> str:
    """Return sha256 over what a report says, whenever it was made."""
    said = {k: v for k, v in report.items() if k not in ("generated_at", "generator")}
    text = json.dumps(_timeless(said), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _timeless(said: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs between two looks at an unchanged cluster."""
    cluster = {k: v for k, v in (said.get("cluster") or {}).items() if k != "requests"}
    findings = [
        {k: v for k, v in entry.items() if k != "summary"}
        | {"evidence": _without(entry.get("evidence"), ("vswitchd_uptime",))}
        for entry in said.get("findings") or ()
    ]
    return {**said, "cluster": cluster, "findings": findings}


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    return {k: v for k, v in value.items() if k not in keys} if isinstance(value, dict) else value


def secret_data(text: bytes) -> dict[str, str]:
    """Return ``data`` of a Secret that keeps the report: gzip, base64. Raises `ReportError`."""
    packed = base64.b64encode(gzip.compress(text, 9, mtime=0)).decode()
    if len(packed) + _ENVELOPE > SECRET_LIMIT:
        raise ReportError(
            f"Failed to keep the report in a Secret: it is {len(packed)} bytes compressed, and a "
            f"Secret holds {SECRET_LIMIT}. Unset k8snet_report_secret, and keep the file instead."
        )
    return {"findings.json.gz": packed}


class Folder:
    """A folder of reports, created with mode 0700 if it does not exist.

    ``setting`` is the variable that names it and ``what`` it holds, both for error texts.
    """

    def __init__(
        self, path: str, setting: str = "k8snet_report_dir", what: str = "reports"
    ) -> None:
        self._setting = setting
        self._what = what
        self.path = os.path.abspath(os.path.expanduser(path))
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | self._nofollow())
        except OSError as error:
            raise self._error("open the folder", self.path, error) from None

    def close(self) -> None:
        """Close the folder."""
        os.close(self._fd)

    def _nofollow(self) -> int:
        """Return O_NOFOLLOW if the last part is somebody else's link in a shared folder."""
        parent = os.stat(os.path.dirname(self.path))
        entry = os.lstat(self.path)
        shared = bool(parent.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
        ours = entry.st_uid in (0, os.geteuid())
        return os.O_NOFOLLOW if shared and not ours else 0

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None if it does not exist. Raises `ReportError` on links."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error("read", self._join(name), error) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ReportError(
                f"Failed to write {self._join(name)}: it exists and is no regular file. Remove "
                f"it, or set {self._setting} to another folder."
            )
        with os.fdopen(fd, "rb") as stream:
            return stream.read()

    def write(self, name: str, content: bytes) -> None:
        """Replace a file at once, mode 0600. Raises `ReportError`."""
        self._put(name, content, keep=False)

    def create(self, name: str, content: bytes) -> bool:
        """Write a new file at once, mode 0600; False if there is one, which stays as it is."""
        return self._put(name, content, keep=True)

    def _put(self, name: str, content: bytes, keep: bool) -> bool:
        temporary = f".{name}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        created = False
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=self._fd)
            created = True
            with os.fdopen(fd, "wb") as stream:
                os.fchmod(stream.fileno(), 0o600)
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if keep:
                os.link(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            else:
                os.rename(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
                created = False
            os.fsync(self._fd)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            raise self._error("write", self._join(name), error) from None
        finally:
            if created:
                os.unlink(temporary, dir_fd=self._fd)

    def mode(self, name: str) -> int | None:
        """Return a file's permission bits, None if it does not exist."""
        try:
            return stat.S_IMODE(os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return None

    def _join(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _error(self, verb: str, where: str, error: OSError) -> ReportError:
        if os.path.islink(where):
            return ReportError(
                f"Failed to {verb} {where}: it is a symbolic link, and {self._what} are not "
                "written through links that others may have made. Remove it, or set "
                f"{self._setting} to another folder."
            )
        return ReportError(
            f"Failed to {verb} {where}: {error.strerror}. Set {self._setting} to a folder "
            "that the user who runs Ansible may write to."
        )
