# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab instance is up exactly while its first process holds the lock of its run directory.

A POSIX record lock, because the kernel drops it however the holder ends, and tells others the
holder's process id. (It must be opened once only in the holder: closing any descriptor of the file
drops it.)
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_FLOCK = "hhqqi4x"  # struct flock on x86_64: type, whence, start, length, pid


def _path(run: Path) -> Path:
    return run / "lock"


def take(run: Path) -> bool:
    """Takes the lock until this process ends; False when another one holds it."""
    fd = os.open(_path(run), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return False
    return True


def holder(run: Path) -> int | None:
    """The process id, as seen from here, of the first process of the lab; None when it is down."""
    try:
        fd = os.open(_path(run), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return None if answer[0] == fcntl.F_UNLCK else int(answer[4])
