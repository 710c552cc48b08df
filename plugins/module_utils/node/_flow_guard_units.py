# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the guard on this node and takes it away: a program and two units of systemd."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import subprocess
from collections.abc import Iterable

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_guard as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _flow_guard, _program

_NAME = "flow-restore-guard"
_SECONDS = 60


class GuardError(Exception):
    """The guard could not be put there or taken away; the text says what, where and the remedy."""


def wanted(settings: domain.Settings) -> tuple[domain.Installed, bytes]:
    """What is to be on the node, and the program's bytes. Raises GuardError."""
    wrong = domain.problem(settings)
    if wrong:
        raise GuardError(wrong)
    try:
        data = _program.build(_flow_guard.ENTRY, _flow_guard.MODULES)
        python = _program.python(system_first=True)
    except _program.ProgramError as exc:
        raise GuardError(str(exc)) from None
    path = _program.path_of(_NAME, data)
    service = domain.service(settings, python, path)
    return domain.Installed(service, domain.timer(settings), (path,), True, True), data


def installed() -> domain.Installed:
    """What is on the node. Raises GuardError."""
    programs = sorted(glob.glob(f"{glob.escape(_program.ROOT)}/{_NAME}-*.pyz"))
    return domain.Installed(
        _read(domain.SERVICE),
        _read(domain.TIMER),
        tuple(programs),
        _tells("is-active"),
        _tells("is-enabled"),
    )


def _read(unit: str) -> str | None:
    path = f"{domain.UNIT_DIR}/{unit}"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise GuardError(f"{path} cannot be read: {exc.strerror}. Run with become.") from None


def _tells(question: str) -> bool:
    if not shutil.which("systemctl"):
        return False
    words = ["systemctl", "--quiet", question, domain.TIMER]
    return _run(words).returncode == 0


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise GuardError(f"'{' '.join(words)}' failed: {exc}. Is systemd well?") from None


def require() -> None:
    """Raise GuardError where the guard cannot work."""
    if not os.path.isdir("/run/systemd/system"):
        raise GuardError("The guard needs systemd, which does not run on this node.")
    if os.geteuid() != 0:
        raise GuardError("The guard can only be installed or removed by root. Run with become.")


def _systemctl(*words: str) -> None:
    done = _run(["systemctl", *words])
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise GuardError(f"'systemctl {' '.join(words)}' failed: {said}. See the journal.")


def put(want: domain.Installed, data: bytes, have: domain.Installed) -> None:
    """Install, or change what is there. Raises GuardError."""
    try:
        _program.install(_NAME, data)
        _write(domain.SERVICE, want.service or "")
        _write(domain.TIMER, want.timer or "")
    except _program.ProgramError as exc:
        raise GuardError(str(exc)) from None
    except OSError as exc:
        raise GuardError(f"{domain.UNIT_DIR} cannot be written: {exc.strerror}.") from None
    _systemctl("daemon-reload")
    _systemctl("enable", domain.TIMER)
    # A timer keeps its old times until it is started anew.
    _systemctl("restart", domain.TIMER)
    # Last: until then the former unit may still have run the former program.
    _forget(path for path in have.programs if path not in want.programs)


def _take_back(have: domain.Installed, want: domain.Installed) -> None:
    """Make the units what they were before `put` failed, as far as that goes."""
    for unit, text in ((domain.SERVICE, have.service), (domain.TIMER, have.timer)):
        with contextlib.suppress(OSError):
            if text is None:
                _forget([f"{domain.UNIT_DIR}/{unit}"])
            else:
                _write(unit, text)
    _forget(path for path in want.programs if path not in have.programs)
    with contextlib.suppress(GuardError):
        if not have.enabled:
            _run(["systemctl", "disable", "--now", domain.TIMER])
        _run(["systemctl", "daemon-reload"])


def take_away(have: domain.Installed) -> None:
    """Remove everything of the guard's. Raises GuardError."""
    if have.running or have.enabled or have.timer is not None:
        _systemctl("disable", "--now", domain.TIMER)
    if have.service is not None:
        # One that is just clearing the key is let finish: half of that helps nobody.
        _await_end()
    _forget([f"{domain.UNIT_DIR}/{domain.SERVICE}", f"{domain.UNIT_DIR}/{domain.TIMER}"])
    _forget(have.programs)
    if have.service is not None or have.timer is not None:
        _systemctl("daemon-reload")
        _run(["systemctl", "reset-failed", domain.SERVICE])
    shutil.rmtree(f"/run/{domain.NAME}", ignore_errors=True)
    for folder in (_program.ROOT, os.path.dirname(_program.ROOT)):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # unless others keep something there


def _await_end() -> None:
    # `start` of a unit that is just starting waits for it; stopped, there is nothing to wait for.
    state = _run(["systemctl", "is-active", domain.SERVICE]).stdout.strip()
    if state == "activating":
        words = ["systemctl", "start", domain.SERVICE]
        subprocess.run(words, capture_output=True, timeout=200, check=False)


def _write(unit: str, text: str) -> None:
    folder = os.open(domain.UNIT_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _program.write(folder, unit, text.encode(), 0o644)
    finally:
        os.close(folder)


def _forget(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def apply(plan: Plan, want: domain.Installed | None, data: bytes, have: domain.Installed) -> None:
    """Make it so and read back; what fails half-way is taken back. Raises GuardError."""
    if not plan.changed:
        return
    if want is None:
        take_away(have)
    else:
        try:
            put(want, data, have)
        except GuardError:
            _take_back(have, want)
            raise
    left = domain.plan(installed(), want)
    if left.changed:
        names = ", ".join(step.target for step in left.steps)
        raise GuardError(f"The guard was applied, but not effective: {names}. See the journal.")
