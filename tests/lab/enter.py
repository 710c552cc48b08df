# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command inside a lab: `python enter.py PID -- COMMAND …`, PID being its first process.

The command sees the lab's networks, processes and private mounts, has this process's standard
streams and working directory, and ends with the lab, or when this process is ended. The exit code
is the command's, or 128 + the signal that ended it. Imports nothing of the lab, to start fast.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType

_CLONE_NEWNS, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG = 1
#: Tells what runs inside a lab which one that is: the id of its first process as seen from outside.
INSIDE = "K8SNET_LAB_INSIDE"


def run_inside(first_process: int, argv: list[str]) -> int:
    """Runs argv in the namespaces of a lab's first process; returns the exit code."""
    if os.environ.get(INSIDE) == str(first_process):
        os.execvp(argv[0], argv)
    os.environ[INSIDE] = str(first_process)
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.getcwd()
    pidfd = os.pidfd_open(first_process)
    if libc.setns(pidfd, _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot enter the lab's namespaces: {os.strerror(code)}")
    os.close(pidfd)
    child = os.fork()
    if child == 0:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        try:
            os.chdir(here)
            os.execvp(argv[0], argv)
        except OSError as error:
            print(f"lab: cannot run {argv[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)

    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, forward)
    # A terminal sends it to the child as well, which decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _unused, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run_inside(int(sys.argv[1]), sys.argv[3:]))
