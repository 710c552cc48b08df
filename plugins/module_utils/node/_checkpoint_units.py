# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd does for a checkpoint: the timer, the unit that restores after a boot, the hold."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time

from . import _program
from ._checkpoint_store import ROOT, CheckpointError, synced

BOOT_UNIT = "k8snet-restore-boot.service"
UNITS = "/etc/systemd/system"
#: What a timer of a checkpoint does.
WAITING, FIRED, GONE, UNKNOWN = "waiting", "fired", "gone", "unknown"
DROP_IN = "90-k8snet-hold.conf"
_TIMEOUT = 30.0
#: How the restore program's output stands in the journal.
JOURNAL = ("--property=SyslogIdentifier=k8snet", "--property=SyslogLevel=err")
#: What starts a node's agents, by the name that each distribution gives it.
_STARTERS = ("kubelet", "k3s", "k3s-agent", "rke2-server", "rke2-agent")
#: Longer than the restore program's own bounds together, so that it ends by itself.
RESTORE_SECONDS = 420

_HEAD = "# Written by k8snet.cni.network_checkpoint, which removes it again.\n"
_BOOT = """[Unit]
Description=Restore the network that an unconfirmed change left behind
# What configures the network has done so: it is repaired, not raced.
After=network.target systemd-networkd.service NetworkManager.service networking.service
After=openvswitch-switch.service openvswitch.service ovs-vswitchd.service
Before={before}
RequiresMountsFor={root} {python}

[Service]
Type=oneshot
ExecStart={python} -I {program} --boot
TimeoutStartSec={seconds}
SyslogIdentifier=k8snet
# What has no level of its own is a surprise: a traceback, a Python that does not start.
SyslogLevel=err

[Install]
WantedBy=multi-user.target
"""
_HOLD = """[Unit]
# An agent that reads its configuration again would cut this node off again. To lift it by hand:
# rm {root}/hold && systemctl start {unit}
ConditionPathExists=!{root}/hold
"""


def run(*words: str, timeout: float = _TIMEOUT) -> tuple[int, str]:
    """Run a program; its exit code and what it said. 127: there is none."""
    program = shutil.which(
        words[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
    )
    if program is None:
        return 127, f"{words[0]} not found"
    try:
        done = subprocess.run(
            [program, *words[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {timeout:g} s"
    except OSError as error:
        return 126, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def running() -> bool:
    """Whether systemd runs this node."""
    return os.path.isdir("/run/systemd/system") and shutil.which("systemd-run") is not None


def need_systemd() -> None:
    """Raise CheckpointError unless systemd runs this node."""
    if not running():
        raise CheckpointError(
            "This node is not run by systemd (/run/systemd/system is missing): nothing would undo "
            "the change in time. Arm checkpoints on nodes with systemd only, or make the change "
            "at the console. Nothing was changed."
        )


def name_of(checkpoint: str) -> str:
    """The unit of a checkpoint, without its ending."""
    return f"k8snet-restore-{checkpoint}"


def _do(what: str, *words: str) -> str:
    code, said = run(*words)
    if code:
        raise CheckpointError(
            f"Failed to {what}: '{' '.join(words[:3])}' said: {said or code}. See 'systemctl "
            "status' on the node."
        )
    return said


def timers(checkpoint: str) -> tuple[str, str]:
    """The names that a checkpoint's timer may have: one that is begun anew has the other one."""
    return name_of(checkpoint), f"{name_of(checkpoint)}:again"


def start_timer(checkpoint: str, seconds: int, command: list[str]) -> None:
    """Start the timer, counted by the clock that no one can set, and see that it is scheduled.

    It takes the place of one that waits, which is stopped when the new one stands: whatever dies
    in between, the node has a timer. Raises CheckpointError.
    """
    names = timers(checkpoint)
    waiting = waiting_timers(checkpoint)
    unit = next((name for name in names if name not in waiting), names[1])
    if unit in waiting:
        _stop(unit)
    run("systemctl", "reset-failed", f"{unit}.timer", f"{unit}.service")
    _do(
        "start the timer",
        "systemd-run",
        f"--unit={unit}",
        f"--on-startup={_since_startup() + seconds * 1000000}us",
        "--timer-property=AccuracySec=100ms",
        "--service-type=oneshot",
        f"--property=TimeoutStartSec={RESTORE_SECONDS}",
        *JOURNAL,
        "--property=OOMScoreAdjust=-900",
        "--collect",
        f"--description=Restore the network unless {checkpoint} is confirmed",
        *command,
    )
    if not _waits(unit):
        raise CheckpointError(
            f"The timer {unit}.timer was started and does not wait: see 'systemctl status "
            f"{unit}.timer' and 'journalctl -u {unit}.timer' on the node. Nothing was changed."
        )
    for former in waiting:
        if former != unit:
            _stop(former)


def _since_startup() -> int:
    """Microseconds since systemd was started, by the clock that no one can set.

    A time from the timer's own start would begin anew with every daemon-reload (tried).
    """
    asked = "UserspaceTimestampMonotonic"
    said = _do("ask systemd when it was started", "systemctl", "show", f"--property={asked}")
    started = said.partition("=")[2]
    if not started.isdigit():
        raise CheckpointError(f"systemd does not say when it was started ({asked}): {said}")
    return int(time.monotonic() * 1000000) - int(started)


def waiting_timers(checkpoint: str) -> list[str]:
    """Units of a checkpoint's timers that are scheduled, as systemd says itself."""
    return [unit for unit in timers(checkpoint) if _waits(unit)]


def _waits(unit: str) -> bool:
    properties = "--property=SubState,NextElapseUSecMonotonic"
    said = run("systemctl", "show", f"{unit}.timer", properties)[1].splitlines()
    told = dict(line.partition("=")[::2] for line in said)
    scheduled = told.get("NextElapseUSecMonotonic", "") not in ("", "0", "infinity")
    return told.get("SubState") == "waiting" and scheduled


def fired(checkpoint: str) -> bool:
    """Whether a timer of a checkpoint has gone off: its service runs, or waits for the lock."""
    asked = [f"{unit}.service" for unit in timers(checkpoint)]
    return "activating" in run("systemctl", "is-active", *asked)[1].split()


def timer_state(checkpoint: str) -> str:
    """Whether a checkpoint's timer waits, has fired, or is gone, as systemd says itself."""
    if waiting_timers(checkpoint):
        return WAITING
    if fired(checkpoint):
        return FIRED
    unit = f"{name_of(checkpoint)}.timer"
    code = run("systemctl", "show", unit, "--property=LoadState")[0]
    # It may have been asked just when one took the other's place.
    if waiting_timers(checkpoint):
        return WAITING
    return UNKNOWN if code else GONE


def stop_timer(checkpoint: str) -> None:
    """Take the timer away. Raises CheckpointError when it is still scheduled after that."""
    for unit in timers(checkpoint):
        _stop(unit)


def _stop(unit: str) -> None:
    said = run("systemctl", "stop", f"{unit}.timer")[1]
    if _waits(unit):
        raise CheckpointError(
            f"The timer {unit}.timer cannot be stopped ({said}). Stop it on the node: "
            f"systemctl stop {unit}.timer"
        )


def install_boot(command: list[str], held: list[str]) -> None:
    """Install and enable the unit that restores after a boot. Raises CheckpointError.

    :param held: units that a restore holds: they start after it as those that start agents do.
    """
    text = _HEAD + _BOOT.format(
        python=command[0],
        program=command[2],
        root=ROOT,
        seconds=RESTORE_SECONDS,
        # One that configures the network comes first all the same: no unit is before and after.
        before=" ".join(u for u in dict.fromkeys(map(full, (*_STARTERS, *held))) if u not in _BOOT),
    )
    _write(f"{UNITS}/{BOOT_UNIT}", text)
    _do("reload systemd's units", "systemctl", "daemon-reload")
    _do("enable the boot unit", "systemctl", "enable", BOOT_UNIT)
    # The plug may be pulled a second from now.
    with contextlib.suppress(FileNotFoundError):
        synced(f"{UNITS}/multi-user.target.wants")


def remove_boot() -> None:
    """Disable and remove that unit."""
    if not os.path.lexists(f"{UNITS}/{BOOT_UNIT}"):
        return
    run("systemctl", "disable", BOOT_UNIT)
    with contextlib.suppress(OSError):
        os.unlink(f"{UNITS}/{BOOT_UNIT}")
    run("systemctl", "daemon-reload")


def install_hold(units: list[str], root: str = ROOT) -> None:
    """Install the drop-ins that keep units stopped while the hold is on. Raises CheckpointError."""
    for unit in units:
        text = _HEAD + _HOLD.format(root=root, unit=unit)
        _write(f"{UNITS}/{full(unit)}.d/{DROP_IN}", text)
    _do("reload systemd's units", "systemctl", "daemon-reload")


def remove_hold(units: list[str]) -> bool:
    """Remove those drop-ins; whether there were any."""
    found = False
    for unit in units:
        folder = f"{UNITS}/{full(unit)}.d"
        with contextlib.suppress(OSError):
            os.unlink(f"{folder}/{DROP_IN}")
            found = True
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    if found:
        run("systemctl", "daemon-reload")
    return found


def full(unit: str) -> str:
    """The name of a unit with its ending."""
    return unit if "." in unit else f"{unit}.service"


def active(unit: str) -> bool:
    """Whether a unit runs."""
    return run("systemctl", "is-active", "--quiet", full(unit))[0] == 0


def _write(path: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _program.write(folder, os.path.basename(path), text.encode(), mode=0o644)
        finally:
            os.close(folder)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written: {error.strerror or error}. Make it writable, and run with "
            "become. Nothing was changed."
        ) from None
