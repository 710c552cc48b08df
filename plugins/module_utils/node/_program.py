# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Node programs: one file of Python that a unit of systemd runs, without Ansible or network.

A program is a zip-app (``python3 -I file``) made of the sources that the collection itself uses,
at the same package path, so that nothing is written twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import os
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Sequence

ROOT = "/var/lib/k8snet/programs"
_PACKAGE = __name__.rpartition(".node.")[0]
# The oldest time a zip file can name: the same sources shall make the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)
_MAIN = """from __future__ import annotations

import sys

from {module} import {function}

sys.exit({function}())
"""


#: The distribution's own, which stays through upgrades.
SYSTEM_PYTHON = "/usr/bin/python3"
_OLDEST = (3, 9)
#: Folders that are empty after a boot, or not there for a unit.
_PASSING = ("/tmp", "/var/tmp", "/run", "/var/run", "/dev", "/proc", "/sys")  # noqa: S108
_HOMES = ("/home", "/root")
# What a unit of systemd reads as one word.
_PLAIN = re.compile(r"/[A-Za-z0-9/_.@+-]+")


class ProgramError(Exception):
    """A program could not be built or written; the text says what, where and the remedy."""


def build(entry: str, modules: Sequence[str]) -> bytes:
    """Return a zip-app whose main program is ``entry``, deterministically.

    :param entry: ``"node._restore:main"``: a module below module_utils and its function.
    :param modules: every module that it imports, all the way, the entry's own included:
        ``"node._restore"``, ``"domain._ovs"``, ``"_plan"``.
    """
    module, function = entry.split(":")
    main = _MAIN.format(module=f"{_PACKAGE}.{module}", function=function)
    files = {"__main__.py": main}
    for name in modules:
        path = f"{_PACKAGE}.{name}".split(".")
        files["/".join(path) + ".py"] = _source(".".join(path))
        for depth in range(1, len(path)):
            files["/".join([*path[:depth], "__init__.py"])] = ""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path_in_zip in sorted(files):
            member = zipfile.ZipInfo(path_in_zip, _TIME)
            archive.writestr(member, files[path_in_zip], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _source(name: str) -> str:
    """A module's source through its loader: Ansible runs modules out of a zip file too."""
    spec = importlib.import_module(name).__spec__
    loader = spec.loader if spec else None
    get_source = getattr(loader, "get_source", None)
    text = get_source(name) if get_source else None
    if not isinstance(text, str):
        raise ProgramError(f"The source of {name} cannot be read: its loader gives none.")
    return text


def path_of(name: str, data: bytes, root: str = ROOT) -> str:
    """Return where `install` puts a program: its content is part of its name."""
    return f"{root}/{name}-{hashlib.sha256(data).hexdigest()[:12]}.pyz"


def install(name: str, data: bytes, root: str = ROOT) -> str:
    """Write a program (0600, atomically, synced) and return its path; one that is there stays.

    Raises ProgramError. No symbolic link is followed in the last two parts of the path.
    """
    path = path_of(name, data, root)
    try:
        folder = open_folder(root)
        try:
            if _read(folder, os.path.basename(path)) != data:
                write(folder, os.path.basename(path), data)
        finally:
            os.close(folder)
    except OSError as error:
        raise ProgramError(
            f"The program {path} cannot be written: {error.strerror or error}. Free space there, "
            "make it writable, and run with become."
        ) from None
    return path


def open_folder(path: str, create: bool = True) -> int:
    """Open a folder below /var/lib, each part made 0700 if need be, and no link followed."""
    root, *parts = _parts(path)
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=current)
                    os.fsync(current)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            following = os.open(name, flags, dir_fd=current)
            os.close(current)
            current = following
            if create and stat.S_IMODE(os.fstat(current).st_mode) != 0o700:
                os.fchmod(current, 0o700)
    except OSError:
        os.close(current)
        raise
    return current


def _parts(path: str) -> list[str]:
    """The folder that must be there (what lies above k8snet), and those below it one by one."""
    above, marker, below = path.partition("/k8snet")
    return [above or "/", *(marker + below).strip("/").split("/")] if marker else [path]


def _read(folder: int, name: str) -> bytes | None:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read()


def write(folder: int, name: str, data: bytes, mode: int = 0o600) -> None:
    """Write a file into an open folder: to a new one, synced, then renamed over it."""
    temporary = f".{name}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(temporary, flags, mode, dir_fd=folder)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def python(system_first: bool = False) -> str:
    """The Python that a unit of systemd runs a program with: it must be there after a boot.

    The one that runs this, unless it lies in a home or in a folder that does not last: the
    distribution's then. Raises ProgramError where neither will do.

    :param system_first: for what stays for months: the distribution's own wherever it is there.
    """
    own = sys.executable or ""
    lasts = _lasts(own)
    if system_first and _new_enough(SYSTEM_PYTHON):
        return SYSTEM_PYTHON
    if lasts and not _below(own, _HOMES):
        return own
    if _new_enough(SYSTEM_PYTHON):
        return SYSTEM_PYTHON
    if lasts:
        return own
    raise ProgramError(
        f"No Python that will be there after a boot: this one is {own or 'not known by its path'}, "
        f"and {SYSTEM_PYTHON} is not there or older than {'.'.join(map(str, _OLDEST))}. Install "
        "python3 on the node, or set ansible_python_interpreter to one that stays. Nothing was "
        "changed."
    )


def _lasts(path: str) -> bool:
    real = os.path.realpath(path)
    plain = _PLAIN.fullmatch(path) is not None
    passing = any(_below(one, _PASSING) for one in (path, real))
    return plain and not passing and os.access(real, os.X_OK)


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return path.startswith(tuple(f"{folder}/" for folder in folders))


def _new_enough(path: str) -> bool:
    if path == sys.executable:
        return True
    code = f"import sys; sys.exit(sys.version_info < {_OLDEST})"
    try:
        done = subprocess.run(
            [path, "-I", "-c", code], capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
