# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""iptables-nft and nft on a node: modules that Debian's User Mode Linux is configured without.

Its nf_tables knows the family bridge only (NF_TABLES_IPV4, NF_TABLES_IPV6 and NFT_NAT are off, and
so are the legacy tables), so there neither iptables nor ``nft add table ip`` work. The modules are
made here from Debian's source of that kernel's series, with its own configuration and options that
change no structure's layout. Made once, kept beside the images.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab import build, recipe
from tests.lab.errors import LabError, exit_code
from tests.lab.image import Image, ensure_image, images_dir
from tests.lab.lab import Lab
from tests.lab.paths import cache_dir

Say = Callable[[str], None]

_OPTIONS = """\
CONFIG_NF_TABLES_IPV4=y
CONFIG_NF_TABLES_IPV6=y
CONFIG_NFT_NAT=m
CONFIG_NFT_FIB_IPV4=m
CONFIG_NFT_REJECT_IPV4=m
CONFIG_NFT_REJECT_IPV6=m
"""
_NET = (
    *("nf_tables", "nft_chain_nat", "nft_compat", "nft_ct", "nft_fib", "nft_hash"),
    *("nft_limit", "nft_log", "nft_masq", "nft_nat", "nft_numgen", "nft_redir", "nft_reject"),
)
_MODULES = (
    *(f"net/netfilter/{name}.ko" for name in _NET),
    # Not nft_fib_ipv6: what it calls of the kernel is not exported there.
    "net/ipv4/netfilter/nft_fib_ipv4.ko",
    *(f"net/ipv{v}/netfilter/nft_reject_ipv{v}.ko" for v in (4, 6)),
)
_TOOLS = ("make", "gcc", "flex", "bison", "bc", "xz", "strip")
#: Sources that none of this reads: two thirds of the archive.
_UNREAD = ("drivers/*.[ch]", "sound/*.[ch]", "fs/*.c", "tools/testing/*", "Documentation/*/*")


def _key(kernel: str) -> str:
    made = hashlib.sha256("\n".join((_OPTIONS, *_MODULES)).encode()).hexdigest()
    return f"{kernel}-{made[:12]}"


def ensure(image: Image, say: Say) -> Path:
    """The archive of modules for an image's kernel, made first where there is none. LabError."""
    kernel = str(image.about["kernel"])
    folder = cache_dir() / "netfilter"
    archive = folder / f"{_key(kernel)}.tar.gz"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
            if missing:
                raise LabError(
                    f"iptables on the nodes needs {', '.join(missing)} to be built",
                    f"apt-get install {' '.join(missing)}",
                )
            say(f"netfilter modules for {kernel} from Debian's source (a few minutes, once)")
            with tempfile.TemporaryDirectory(dir=folder) as work:
                _make(Path(work), image, kernel, archive, say)
            for old in folder.glob("*.tar.gz"):
                if old != archive:
                    old.unlink()
    return archive


def _make(work: Path, image: Image, kernel: str, archive: Path, say: Say) -> None:
    series = ".".join(kernel.split(".")[:2])
    package = f"linux-source-{series}"
    with open(archive.parent / "build.log", "w") as log:
        runner = build.Runner(say, log)
        root = work / "root"
        root.mkdir()
        kept = ["./etc/apt/sources.list", "./usr/share/keyrings"]
        runner.run(["tar", "-C", root, "-xf", build.root_archive(images_dir()), *kept])
        unpacked = build._download(work, root, recipe.KERNEL_SUITE, [package], runner)
        excluded = [f"--exclude={package}/{pattern}" for pattern in _UNREAD]
        source = unpacked / "usr/src" / f"{package}.tar.xz"
        runner.run(["tar", "-C", work, "--anchored", *excluded, "-xf", source])
        source.unlink()
        tree = work / package
        _configure(tree, image, kernel, runner)
        make = ["make", "ARCH=um", f"-j{os.cpu_count()}", "KBUILD_MODPOST_WARN=1"]
        runner.run([*make, "modules_prepare"], cwd=tree)
        runner.run([*make, *_MODULES], cwd=tree)
        runner.run(["strip", "--strip-debug", *_MODULES], cwd=tree)
        flat = ["--transform=s,.*/,,", "--owner=0", "--group=0"]
        runner.run(["tar", "-C", tree, *flat, "-czf", work / "modules", *_MODULES])
        (work / "modules").rename(archive)


def _configure(tree: Path, image: Image, kernel: str, runner: build.Runner) -> None:
    """The kernel's own configuration and release, with the options."""
    text = (image.kernel_root / "usr/bin/linux.uml").read_bytes()
    lines = [piece.strip().decode(errors="replace") for piece in text.split(b"\0")]
    own = [line for line in lines if line.startswith(("CONFIG_", "# CONFIG_"))]
    if len(own) < 500:
        raise LabError(f"the kernel {kernel} does not tell its configuration")
    names = [line.partition("=")[0] for line in _OPTIONS.splitlines()]
    own = [line for line in own if line.removeprefix("# ").split(" ")[0] not in names]
    (tree / ".config").write_text("\n".join(own) + "\n" + _OPTIONS)
    makefile = tree / "Makefile"
    head, _found, rest = makefile.read_text().partition("\nSUBLEVEL = ")
    rest = rest.partition("\n")[2]
    makefile.write_text(f"{head}\nSUBLEVEL = {kernel.split('.')[2]}\n{rest}")
    runner.run(["make", "ARCH=um", "olddefconfig"], cwd=tree)
    made = (tree / ".config").read_text().splitlines()
    lost = [line for line in _OPTIONS.splitlines() if line not in made]
    if lost:
        raise LabError(f"the kernel {kernel} cannot be configured with {', '.join(lost)}")


_INSTALL = """set -e
at=/usr/lib/modules/$(uname -r)/updates
mkdir -p $at
tar -xz -C $at
try() { nft "add table ip k8snet-try; delete table ip k8snet-try"; }
if ! try 2>/dev/null; then
    depmod
    modprobe -r nft_compat nf_tables
    try
fi
sync
"""


def install(lab: Lab, node: str, archive: Path) -> None:
    """Puts the modules on a running node, where they outlive a pulled plug. LabError."""
    words = lab.ssh_command(node, [f"sudo sh -c {shlex.quote(_INSTALL)}"], oob=True)
    with open(archive, "rb") as stream:
        done = lab.exec(words, stdin=stream, capture_output=True, timeout=120)
    if done.returncode:
        raise LabError(f"{node}: no iptables there: {done.stderr.decode().strip()}")


def main() -> int:
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {message}", flush=True)

    return exit_code(lambda: say(str(ensure(ensure_image(say), say))))


if __name__ == "__main__":
    sys.exit(main())
