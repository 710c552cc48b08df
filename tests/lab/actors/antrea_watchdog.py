# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container antrea-ovs of the lab: keeps OVS running, as ``start_ovs`` does.

A drop-in of unit lab-ovs sets the flag whenever ovs-vswitchd is started. Told to end, it stops OVS.
Source: antrea-io/antrea ``build/images/scripts/start_ovs``.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading

from tests.lab.actors import antrea_proxy

UNITS = ("lab-ovsdb.service", "lab-ovs.service")


def _systemctl(*words: str) -> bool:
    return subprocess.run(("systemctl", *words), check=False).returncode == 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="antrea-ovs", description=__doc__)
    parser.add_argument("--period", type=float, default=30, help="seconds between two looks")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    while not ended.is_set():
        for unit in UNITS:
            if not _systemctl("is-active", "--quiet", unit):
                print(f"{unit} is not running: starting it", flush=True)
                _systemctl("start", unit)
        ended.wait(options.period)
    print("stopping OVS before quit", flush=True)
    _systemctl("stop", *reversed(UNITS))
    antrea_proxy.remove()  # flows end with it
    return 0


if __name__ == "__main__":
    sys.exit(main())
