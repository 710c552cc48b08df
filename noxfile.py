# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's gates: antsibull-nox's sessions, and ansible-test without a container engine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import antsibull_nox
import antsibull_nox.sessions
import nox
from antsibull_nox.sessions.ansible_test import add_ansible_test_session

# ansible-core of the newest series that runs on Python 3.11, as in tests/requirements.txt.
ANSIBLE_CORE = "2.19"

# ansible-test fetches this program from the network to get a pip into its virtual environments.
# The ones it makes have ensurepip, which needs no network.
GET_PIP = """\
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
arguments = [word for word in sys.argv[1:] if not word.startswith("--no-")]
subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", *arguments])
"""


def offer_other_pythons() -> None:
    """Put the interpreters of a pyenv on PATH: ansible-test does not ask pyenv's shims."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [str(path) for path in sorted(root.glob("versions/3.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *found])


def get_pip_programs() -> list[Path]:
    cache = Path.home() / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    return [cache / f"get_pip_{version}.py" for version in ("24_2", "25_2")]


def seed_get_pip() -> None:
    for program in get_pip_programs():
        if not program.exists():
            program.write_text(GET_PIP)


def clean_up() -> None:
    for program in get_pip_programs():
        if program.exists() and program.read_text() == GET_PIP:
            program.unlink()
    # antsibull-nox 1.10.0 fails on a nested one.
    shutil.rmtree(Path("tests/output/.tmp"), ignore_errors=True)


offer_other_pythons()
antsibull_nox.load_antsibull_nox_toml()

add_ansible_test_session(
    name="sanity",
    description="ansible-test sanity, without ignores.",
    ansible_test_params=["sanity", "--color", "no"],
    default=True,
    ansible_core_version=ANSIBLE_CORE,
    ansible_core_source="pypi",
    callback_before=seed_get_pip,
    callback_after=clean_up,
)

nox.options.default_venv_backend = "virtualenv"
