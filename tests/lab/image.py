# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the nodes' disk image from Debian packages, once, and keeps it in the cache.

An image is a directory `images/<key>/` of the cache, complete or absent (it is built under another
name and renamed):

    base.ext4     what every node boots from, copy-on-write
    uml/          a root that holds the User Mode Linux kernel and its C library, to chroot into
    key, key.pub  the ssh key of user ops
    about.json    {"kernel": version, "python39": bool, "notes": [str], "seconds": float}

`python -m tests.lab.image` builds it; that process is re-run in a mount and pid namespace of its
own, so that however it ends it leaves neither a mount nor a process.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import build, recipe
from tests.lab.errors import LabError, exit_code
from tests.lab.paths import CHECKOUT, cache_dir

Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """A finished image."""

    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "base.ext4"

    @property
    def kernel_root(self) -> Path:
        return self.directory / "uml"

    @property
    def key(self) -> Path:
        return self.directory / "key"

    def hold(self) -> int:
        """Keeps the image from being pruned for as long as the answered descriptor is open."""
        disk = os.open(self.disk, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(disk, fcntl.LOCK_SH)
        return disk

    @property
    def about(self) -> dict[str, object]:
        value: dict[str, object] = json.loads((self.directory / "about.json").read_text())
        return value


def images_dir() -> Path:
    return cache_dir() / "images"


def ensure_image(say: Say) -> Image:
    """The image of today's recipe, built first if the cache has none. LabError when that fails."""
    image = Image(images_dir() / recipe.image_key())
    if not image.directory.is_dir():
        images_dir().mkdir(parents=True, exist_ok=True)
        _build_in_namespaces()
        if not image.directory.is_dir():
            raise LabError(f"the node image was built, but {image.directory} is not there")
        say(f"node image ready: {image.directory}")
    return image


def _build_in_namespaces() -> None:
    # An `up` that is killed takes the builder with it, and that its namespaces.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
    command += ["--kill-child", "--mount-proc", sys.executable, "-m", "tests.lab.image"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "LC_ALL": "C.UTF-8"}
    if subprocess.run(command, env=env, check=False).returncode != 0:
        raise LabError(
            "the node image could not be built",
            f"The reason is above and in {images_dir()}/build.log; the next run starts over.",
        )


@contextmanager
def _only_builder(say: Say) -> Iterator[None]:
    with open(images_dir() / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building the node image; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(say: Say) -> None:
    final = images_dir() / recipe.image_key()
    with _only_builder(say):
        if final.is_dir():
            return
        for left in images_dir().glob(".building-*"):
            shutil.rmtree(left)
        work = images_dir() / f".building-{recipe.image_key()}"
        work.mkdir()
        started = time.monotonic()
        with open(images_dir() / "build.log", "w") as log:
            about = build.build(work, images_dir(), build.Runner(say, log))
        about["seconds"] = round(time.monotonic() - started, 1)
        (work / "out" / "about.json").write_text(json.dumps(about, indent=1) + "\n")
        (work / "out").rename(final)
        shutil.rmtree(work)
        _prune(final)


def _prune(keep: Path) -> None:
    """Removes images and roots of other recipes, but no image that a running lab holds."""
    for entry in images_dir().iterdir():
        if entry.is_dir() and entry != keep and not entry.name.startswith("."):
            try:
                with open(entry / "base.ext4") as disk:
                    fcntl.flock(disk, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(entry)
        elif entry.suffix == ".tar" and entry != build.root_archive(images_dir()):
            entry.unlink()


def main() -> int:
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {message}", flush=True)

    return exit_code(lambda: _build(say))


if __name__ == "__main__":
    sys.exit(main())
