# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of building a node image: Debian root, kernel, old Python, settings, one ext4 file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.lab import recipe
from tests.lab.errors import LabError

KEYRING = "usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass
class Runner:
    """Runs programs with their output in the build log, and says what phase it is."""

    say: Callable[[str], None]
    log: TextIO

    def run(self, argv: Sequence[str | Path], cwd: Path | None = None) -> None:
        """LabError with the output's last lines when the program fails."""
        words = [str(word) for word in argv]
        self.log.write(f"\n+ {' '.join(words)}\n")
        self.log.flush()
        done = subprocess.run(
            words,
            check=False,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        )
        self.log.write(done.stdout)
        self.log.flush()
        if done.returncode != 0:
            last = "\n  ".join(done.stdout.strip().splitlines()[-5:])
            raise LabError(f"'{' '.join(words[:3])} …' failed ({done.returncode}):\n  {last}\n ")


def root_archive(images: Path) -> Path:
    """What debootstrap made, kept so that a changed setting costs no download."""
    return images / f"root-{recipe.root_key()}.tar"


def build(work: Path, images: Path, runner: Runner) -> dict[str, object]:
    """Builds into work/out; returns what about.json shall say."""
    root, out = work / "root", work / "out"
    root.mkdir()
    out.mkdir()
    _debian_root(root, root_archive(images), runner)
    runner.say(f"kernel: {recipe.KERNEL_PACKAGE} from Debian {recipe.KERNEL_SUITE}")
    kernel = _kernel(work, root, out / "uml", runner)
    runner.say("Python 3.9, the oldest that nodes may have, from Debian bullseye")
    notes = _old_python(work, root, runner)
    runner.say("settings of the node: user ops, ssh, NICs, units that cost boot time masked")
    _settings(root, out, runner)
    runner.say("disk image")
    _disk(root, out / "base.ext4", runner)
    return {"kernel": kernel, "python39": not notes, "notes": notes}


def _debian_root(root: Path, archive: Path, runner: Runner) -> None:
    if not archive.exists():
        runner.say(f"Debian {recipe.SUITE} root with debootstrap (about a minute)")
        include = ",".join(recipe.PACKAGES)
        runner.run(["debootstrap", "--variant=minbase", f"--include={include}", recipe.SUITE, root])
        for unread in recipe.UNREAD:
            shutil.rmtree(root / unread, ignore_errors=True)
        runner.run(["tar", "-C", root, "-cf", f"{archive}.part", "."])
        os.rename(f"{archive}.part", archive)
    else:
        runner.say(f"Debian {recipe.SUITE} root from the cache")
        runner.run(["tar", "-C", root, "-xf", archive])


def _download(work: Path, root: Path, suite: str, packages: Sequence[str], runner: Runner) -> Path:
    """Packages of another suite, unpacked; returns the directory that they were unpacked into.

    The source list is the one debootstrap wrote into the root with the suite's name changed, in
    an apt directory of its own: the machine's own sources are neither read nor changed.
    """
    apt = work / suite
    for directory in ("lists/partial", "cache/archives/partial", "debs", "unpacked"):
        (apt / directory).mkdir(parents=True)
    written = (root / "etc/apt/sources.list").read_text()
    words = written.replace(f" {recipe.SUITE} ", f" {suite} ", 1)
    sources = words.replace("deb ", f"deb [signed-by={root / KEYRING}] ", 1)
    (apt / "sources.list").write_text(sources)
    options = [
        f"-oDir::Etc::sourcelist={apt}/sources.list",
        "-oDir::Etc::sourceparts=-",
        f"-oDir::State::Lists={apt}/lists",
        f"-oDir::Cache={apt}/cache",
        "-oAcquire::Languages=none",
        "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        "-oAPT::Sandbox::User=root",
    ]
    runner.run(["apt-get", *options, "update"])
    runner.run(["apt-get", *options, "download", *packages], cwd=apt / "debs")
    for deb in sorted((apt / "debs").glob("*.deb")):
        runner.run(["dpkg", "-x", deb, apt / "unpacked"])
    return apt / "unpacked"


def _kernel(work: Path, root: Path, kernel_root: Path, runner: Runner) -> str:
    """The modules go to the node, the kernel into a chroot with the C library it is linked to."""
    unpacked = _download(work, root, recipe.KERNEL_SUITE, [recipe.KERNEL_PACKAGE], runner)
    (modules,) = (unpacked / "usr/lib/uml/modules").iterdir()
    for unused in recipe.UNUSED_MODULES:
        shutil.rmtree(modules / unused, ignore_errors=True)
    (root / "usr/lib/modules").mkdir(parents=True, exist_ok=True)
    shutil.move(modules, root / "usr/lib/modules" / modules.name)
    runner.run(["chroot", root, "depmod", modules.name])
    for directory in ("usr/bin", "lib64", "lib/x86_64-linux-gnu", "dev", "proc", "sys", "lab"):
        (kernel_root / directory).mkdir(parents=True)
    shutil.copy2(unpacked / "usr/bin/linux.uml", kernel_root / "usr/bin/linux.uml")
    shutil.copy2(root / "lib64/ld-linux-x86-64.so.2", kernel_root / "lib64")
    # What it executes to reboot: the lab sees the exit code and boots it itself (node.py).
    shutil.copy2(root / "usr/bin/false", kernel_root / "usr/bin/false")
    # libgcc_s is loaded by the C library when the kernel cancels a thread, to power off.
    for library in ("libc.so.6", "libgcc_s.so.1"):
        shutil.copy2(root / "lib/x86_64-linux-gnu" / library, kernel_root / "lib/x86_64-linux-gnu")
    return modules.name


def _old_python(work: Path, root: Path, runner: Runner) -> list[str]:
    """Puts Python 3.9 at /opt/python3.9; returns why not, when that Debian release is gone."""
    target = root / "opt/python3.9"
    try:
        unpacked = _download(
            work, root, recipe.OLD_PYTHON_SUITE, recipe.OLD_PYTHON_PACKAGES, runner
        )
    except LabError as error:
        note = f"no Python 3.9 on the nodes: {error}"
        runner.say(note)
        return [note]
    shutil.copytree(unpacked / "usr", target, symlinks=True)
    libraries = "/opt/python3.9/lib/x86_64-linux-gnu\n"
    (root / "etc/ld.so.conf.d/zz-python3.9.conf").write_text(libraries)
    runner.run(["chroot", root, "ldconfig"])
    check = "import ctypes, decimal, hashlib, json, socket, ssl, subprocess"
    runner.run(["chroot", root, "/opt/python3.9/bin/python3.9", "-c", check])
    return []


def _settings(root: Path, out: Path, runner: Runner) -> None:
    for source in recipe.node_files():
        target = root / source.relative_to(recipe.FILES)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        os.chown(target, 0, 0)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    (root / "etc/sudoers.d/ops").chmod(0o440)
    units = root / "etc/systemd/system"
    for unit in recipe.MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    runner.run(["systemctl", f"--root={root}", "enable", *recipe.ENABLED])
    runner.run(["systemctl", f"--root={root}", "set-default", "multi-user.target"])
    # The password is '*': sshd takes '!' for a locked account and refuses the key as well.
    useradd = ["useradd", "--create-home", "--shell", "/bin/bash", "--password", "*"]
    runner.run(["chroot", root, *useradd, "--groups", "adm,systemd-journal", "ops"])
    _keys(root, out, runner)
    # The kernel mounts the root; a generator is a program run before anything else can start.
    (root / "etc/fstab").write_text("")
    own_generators = root / "etc/systemd/system-generators"
    own_generators.mkdir(exist_ok=True)
    for generator in (root / "usr/lib/systemd/system-generators").iterdir():
        (own_generators / generator.name).symlink_to("/dev/null")
    (root / "etc/hostname").unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")
    # What first boot would compute on every node, computed once.
    (root / "etc/.updated").touch()
    (root / "var/.updated").touch()


def _keys(root: Path, out: Path, runner: Runner) -> None:
    runner.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", out / "key"])
    for old in (root / "etc/ssh").glob("ssh_host_*"):
        old.unlink()
    host_key = root / "etc/ssh/ssh_host_ed25519_key"
    runner.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "node", "-f", host_key])
    ssh = root / "home/ops/.ssh"
    ssh.mkdir(mode=0o700)
    shutil.copy(out / "key.pub", ssh / "authorized_keys")
    (ssh / "authorized_keys").chmod(0o600)
    runner.run(["chroot", root, "chown", "-R", "ops:ops", "/home/ops/.ssh"])


def _disk(root: Path, disk: Path, runner: Runner) -> None:
    with open(disk, "wb") as file:
        file.truncate(recipe.IMAGE_BYTES)
    options = ["-q", "-F", "-m", "0", "-J", "size=8", "-E", "lazy_itable_init=1,root_owner=0:0"]
    runner.run(["mkfs.ext4", *options, "-d", root, disk])
