# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorded baseline of a node's NICs: ``/var/lib/k8snet/baseline/nics.json``."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from typing import Any

from ..domain import _baseline

ROOT = "/var/lib"
_DIRECTORIES = ("k8snet", "baseline")
_NAME = "nics.json"
_MODE, _DIRECTORY_MODE = 0o600, 0o700
# A node with a thousand NICs needs 200 KB: anything bigger is not ours.
_LIMIT = 8 << 20
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC


class BaselineError(Exception):
    """The baseline cannot be read or written; the text says what, where and the remedy."""


def path(root: str = ROOT) -> str:
    """Return the path of the baseline file."""
    return "/".join((root, *_DIRECTORIES, _NAME))


def load(root: str = ROOT) -> dict[str, Any] | None:
    """Return ``{version, recorded_at, nics}``, or None when nothing has been recorded.

    Symbolic links are not followed. Raises BaselineError when the file is unreadable or corrupt.
    """
    try:
        directory = _open_directory(root, create=False)
    except FileNotFoundError:
        return None
    try:
        data = _read(directory, root)
    finally:
        os.close(directory)
    if data is None:
        return None
    try:
        content = json.loads(data)
    except ValueError as error:
        raise _corrupt(root, f"it is no JSON: {error}") from None
    problem = _baseline.check(content)
    if problem:
        raise _corrupt(root, problem)
    result: dict[str, Any] = content
    return result


def exists(root: str = ROOT) -> bool:
    """Tell whether anything lies at the baseline's path, readable or not."""
    return os.path.lexists(path(root))


def loose(root: str = ROOT) -> list[str]:
    """Return what has other permissions than 0700 and 0600 among directories and file."""
    found = []
    current = root
    for name, mode in (*((name, _DIRECTORY_MODE) for name in _DIRECTORIES), (_NAME, _MODE)):
        current = f"{current}/{name}"
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(os.lstat(current).st_mode) != mode:
                found.append(current)
    return found


def save(nics: list[dict[str, Any]], recorded_at: str, root: str = ROOT) -> None:
    """Write the baseline: to a new file, synced, then renamed over the old one.

    Directories are made 0700, the file 0600, no symbolic link is followed. Raises BaselineError.
    """
    content = {"version": 1, "recorded_at": recorded_at, "nics": nics}
    data = json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"
    try:
        directory = _open_directory(root, create=True)
    except OSError as error:
        raise _unwritable(root, error) from None
    temporary = f".{_NAME}.{os.getpid()}"
    try:
        _write(directory, temporary, data)
        os.rename(temporary, _NAME, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
        raise _unwritable(root, error) from None
    finally:
        os.close(directory)


def remove(root: str = ROOT) -> None:
    """Remove the baseline file (a symbolic link: the link itself). Raises BaselineError."""
    try:
        directory = _open_directory(root, create=False)
        try:
            os.unlink(_NAME, dir_fd=directory)
            os.fsync(directory)
        finally:
            os.close(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(root, error) from None


def _open_directory(root: str, create: bool) -> int:
    """Open the baseline's directory step by step, so that no component can be a planted link."""
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    place = root
    try:
        for name in _DIRECTORIES:
            place = f"{place}/{name}"
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, _DIRECTORY_MODE, dir_fd=current)
            following = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=current)
            os.close(current)
            current = following
            if create and stat.S_IMODE(os.fstat(current).st_mode) != _DIRECTORY_MODE:
                os.fchmod(current, _DIRECTORY_MODE)
    except OSError as error:
        os.close(current)
        if isinstance(error, FileNotFoundError):
            raise
        raise _unreadable(place, error) from None
    return current


def _read(directory: int, root: str) -> bytes | None:
    try:
        # Not blocking: a named pipe in its place must not hang the module.
        descriptor = os.open(_NAME, os.O_RDONLY | os.O_NONBLOCK | _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path(root), error) from None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _corrupt(root, "it is no regular file")
        if status.st_size > _LIMIT:
            raise _corrupt(root, f"it is {status.st_size} bytes long")
        return stream.read()


def _write(directory: int, name: str, data: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    descriptor = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, _MODE, dir_fd=directory
    )
    with os.fdopen(descriptor, "wb") as stream:
        # The umask may have taken bits; it cannot have added any.
        os.fchmod(descriptor, _MODE)
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)


def _corrupt(root: str, problem: str) -> BaselineError:
    return BaselineError(
        f"The baseline {path(root)} is unusable: {problem}. Remove it with k8snet.cni.nic_baseline "
        "and state=absent, then record it again with state=recorded once the node's NICs are as "
        "they should be."
    )


def _unreadable(place: str, error: OSError) -> BaselineError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return BaselineError(
            f"The baseline at {place} is a symbolic link or no directory, which is not followed. "
            "Remove it on the node, then record the baseline again."
        )
    hint = " Run with become." if error.errno in (errno.EACCES, errno.EPERM) else ""
    return BaselineError(f"The baseline at {place} cannot be read: {error.strerror}.{hint}")


def _unwritable(root: str, error: OSError) -> BaselineError:
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "Run with become."
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space there."
    else:
        hint = "Make the directory writable."
    return BaselineError(f"The baseline {path(root)} cannot be written: {error.strerror}. {hint}")
