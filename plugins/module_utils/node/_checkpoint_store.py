# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where checkpoints lie on a node: ``/var/lib/k8snet/checkpoint/<id>/``, and who may change one.

A checkpoint's state is one word in a file that is overwritten in place: a full disk has no room for
a new file, and yet must not keep a node from restoring itself. Whoever changes it holds the lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

from . import _program

ROOT = "/var/lib/k8snet"
#: Where a state is kept when the disk has become read-only. Gone after a boot, as the timer is.
FALLBACK = "/run/k8snet"
ARMED, RESTORING, ROLLED_BACK, FAILED, CONFIRMED, PREPARING = (
    "armed",
    "restoring",
    "rolled_back",
    "failed",
    "confirmed",
    "preparing",
)
OPEN = (ARMED, RESTORING)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WIDTH = 32
_REPORT_SPACE = 1 << 16
_LIMIT = 64 << 20
_POLL = 0.05


class CheckpointError(Exception):
    """What, where, remedy."""


class Store:
    """The checkpoints of this node."""

    def __init__(self, root: str = ROOT, fallback: str = FALLBACK) -> None:
        self.root = root
        self.base = f"{root}/checkpoint"
        self.hold_file = f"{root}/hold"
        self._fallback = fallback

    def path(self, name: str) -> str:
        """Return a checkpoint's folder. Raises CheckpointError for what is no name."""
        if not _ID.fullmatch(name):
            raise CheckpointError(
                f"id: '{name}' is no name of a checkpoint: up to 64 letters, digits, '.', '_', '-'."
            )
        return f"{self.base}/{name}"

    def names(self) -> list[str]:
        """Return the ids of all checkpoints."""
        try:
            return sorted(name for name in os.listdir(self.base) if _ID.fullmatch(name))
        except OSError:
            return []

    def armed(self) -> str | None:
        """Return the id of the checkpoint that waits for its confirmation or restores.

        Raises CheckpointError when none is seen and one cannot be read: that may be it.
        """
        unread = None
        for name in self.names():
            try:
                if self.state(name) in OPEN:
                    return name
            except CheckpointError as error:
                unread = error
        if unread is not None:
            raise unread
        return None

    def state(self, name: str) -> str | None:
        """Return the word of a checkpoint, None when there is none.

        Raises CheckpointError: one that cannot be read is not one that is not there.
        """
        for path in (f"{self._fallback}/{name}.state", f"{self.path(name)}/state"):
            try:
                data = _content(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise CheckpointError(
                    f"{path} cannot be read: {error.strerror or error}. {_remedy(error)}"
                ) from None
            return data.decode("ascii", "replace").strip() or PREPARING
        return None

    def set_state(self, name: str, word: str) -> None:
        """Overwrite the word in place. Raises OSError when nowhere can be written."""
        data = _word(word)
        try:
            _overwrite(f"{self.path(name)}/state", data)
        except OSError:
            os.makedirs(self._fallback, mode=0o700, exist_ok=True)
            folder = os.open(self._fallback, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _program.write(folder, f"{name}.state", data)
            finally:
                os.close(folder)
            return
        with contextlib.suppress(OSError):
            os.unlink(f"{self._fallback}/{name}.state")

    def confirm(self, name: str) -> None:
        """Say for good that nothing is to be restored. Raises CheckpointError.

        Not beside the checkpoint: after a boot that would be forgotten, and the node restored.
        """
        try:
            _overwrite(f"{self.path(name)}/state", _word(CONFIRMED))
        except OSError as error:
            raise CheckpointError(
                f"Checkpoint '{name}' cannot be confirmed for good: {self.path(name)} cannot be "
                f"written: {error.strerror or error}. {_remedy(error)} It stays armed."
            ) from None

    def create(self, name: str, content: dict[str, Any], hold: dict[str, Any] | None) -> None:
        """Write a checkpoint that is not armed yet. Raises CheckpointError; leaves nothing then."""
        path = self.path(name)
        try:
            folder = _program.open_folder(path)
            try:
                # Room for the report, so that a full disk cannot take it.
                _program.write(folder, "report.json", b" " * _REPORT_SPACE)
                if hold is not None:
                    _program.write(folder, "hold", _json(hold))
                _program.write(folder, "checkpoint.json", _json(content))
                _program.write(folder, "state", _word(PREPARING))
            finally:
                os.close(folder)
        except OSError as error:
            self.remove(name)
            raise CheckpointError(
                f"The checkpoint {path} cannot be written: {error.strerror or error}. "
                f"{_remedy(error)} Nothing was changed."
            ) from None

    def rewrite(self, name: str, content: dict[str, Any]) -> None:
        """Replace what is known of a checkpoint, at once or not at all. Raises CheckpointError."""
        path = self.path(name)
        try:
            folder = _program.open_folder(path, create=False)
            try:
                _program.write(folder, "checkpoint.json", _json(content))
            finally:
                os.close(folder)
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint {path} cannot be written: {error.strerror or error}. "
                f"{_remedy(error)} Its time goes on as it was."
            ) from None

    def load(self, name: str) -> dict[str, Any]:
        """Return what was saved. Raises CheckpointError when that is missing or damaged."""
        path = f"{self.path(name)}/checkpoint.json"
        content = _parse(_read(path))
        if not isinstance(content, dict) or not isinstance(content.get("saved"), dict):
            raise CheckpointError(
                f"The checkpoint {path} is missing or damaged. What was saved is lost: repair the "
                "node's network by hand."
            )
        return content

    def hold_settings(self, name: str) -> dict[str, Any] | None:
        """Return what the checkpoint said about holding the actor; None when it said nothing."""
        found = _parse(_read(f"{self.path(name)}/hold"))
        return found if isinstance(found, dict) else None

    def held(self) -> dict[str, Any] | None:
        """Return the settings of the hold that is on: ``{id, units, processes, active}``."""
        data = _read(self.hold_file)
        found = _parse(data)
        return found if isinstance(found, dict) else ({} if data is not None else None)

    def hold(self, name: str) -> None:
        """Put the hold on. A second name for a file needs no room on the disk."""
        with contextlib.suppress(FileExistsError):
            os.link(f"{self.path(name)}/hold", self.hold_file)
        synced(self.root)

    def lift(self) -> None:
        """Take the hold off. Raises CheckpointError."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.hold_file)
        except OSError as error:
            raise CheckpointError(
                f"{self.hold_file} cannot be removed: {error.strerror or error}. {_remedy(error)}"
            ) from None

    def forget_programs(self, name: str, keep: str) -> None:
        """Remove former programs, so that a console's pattern finds one.

        What a checkpoint that was restored in part is finished with stays.
        """
        kept = {keep}
        for other in self.names():
            with contextlib.suppress(CheckpointError):
                kept.update(self.load(other)["program"] if self.state(other) == FAILED else ())
        for path in glob.glob(f"{glob.escape(os.path.dirname(keep))}/{name}-*.pyz"):
            if path not in kept:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def report(self, name: str) -> dict[str, Any] | None:
        """Return what the restore program said that it did."""
        for path in (f"{self._fallback}/{name}.report", f"{self.path(name)}/report.json"):
            found = _parse(_read(path))
            if isinstance(found, dict):
                return found
        return None

    def save_report(self, name: str, report: dict[str, Any]) -> None:
        """Write a report into the room that was kept for it."""
        data = _json(report)
        try:
            _overwrite(f"{self.path(name)}/report.json", data.ljust(_REPORT_SPACE))
        except OSError:
            os.makedirs(self._fallback, mode=0o700, exist_ok=True)
            folder = os.open(self._fallback, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _program.write(folder, f"{name}.report", data)
            finally:
                os.close(folder)

    def remove(self, name: str) -> None:
        """Remove a checkpoint. Raises CheckpointError."""
        path = self.path(name)
        for leftover in (f"{self._fallback}/{name}.state", f"{self._fallback}/{name}.report"):
            with contextlib.suppress(OSError):
                os.unlink(leftover)
        try:
            if os.path.islink(path):
                os.unlink(path)
            else:
                shutil.rmtree(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint {path} cannot be removed: {error.strerror or error}. "
                f"{_remedy(error)}"
            ) from None

    @contextlib.contextmanager
    def lock(self, timeout: float) -> Iterator[bool]:
        """Hold the lock on all checkpoints; False when another has it for ``timeout`` seconds.

        The kernel drops it when its holder dies. Raises CheckpointError when there is no place.
        """
        try:
            folder = _program.open_folder(self.base, create=not os.path.isdir(self.base))
        except OSError as error:
            raise CheckpointError(
                f"{self.base} cannot be used: {error.strerror or error}. {_remedy(error)}"
            ) from None
        try:
            yield _flock(folder, timeout)
        finally:
            os.close(folder)


def synced(folder: str) -> None:
    """Have a folder's names on the disk before going on. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flock(handle: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
        else:
            return True


def _word(word: str) -> bytes:
    return word.ljust(_WIDTH - 1).encode() + b"\n"


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _parse(data: bytes | None) -> Any:
    try:
        return json.loads(data) if data and data.strip() else None
    except ValueError:
        return None


def _content(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read(_LIMIT)


def _read(path: str) -> bytes | None:
    try:
        return _content(path)
    except OSError:
        return None


def _overwrite(path: str, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.pwrite(handle, data, 0) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(handle, len(data))
        os.fsync(handle)
    finally:
        os.close(handle)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Run with become."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space there: without a checkpoint no change is made."
    if error.errno == errno.EROFS:
        return "The disk is read-only: see the kernel's log, repair it and mount it writable."
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "A symbolic link or file stands in its place, which is not followed: remove it."
    if error.errno == errno.EIO:
        return "The disk is failing: see the kernel's log."
    return "Make the folder writable."
