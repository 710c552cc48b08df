# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an address is this machine's own, in a network namespace of this machine's kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOOK = """
import json
from ansible_collections.k8snet.cni.plugins.module_utils.node._probe_reach import is_own
print(json.dumps([a for a in ("10.9.9.9", "10.9.9.8", "fd00::9", "fd00::8") if is_own(a)]))
"""
NETWORK = """
ip link add eth0 type veth peer name peer && ip link set peer up && ip link set eth0 up
ip addr add 10.9.9.9/24 dev eth0
ip addr add fd00::9/64 dev eth0 nodad
sysctl -qw net.ipv4.ip_nonlocal_bind="$1" net.ipv6.ip_nonlocal_bind="$1"
exec "$2" -c "$3"
"""


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.parametrize("nonlocal_bind", ["0", "1"])
def test_an_address_is_own_whatever_sockets_may_be_bound_to(nonlocal_bind: str) -> None:
    words = ["unshare", "--net", "sh", "-ec", NETWORK, "sh", nonlocal_bind, sys.executable, LOOK]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / '.ansible/collections'}:{ROOT}"}
    done = subprocess.run(words, env=env, check=True, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == ["10.9.9.9", "fd00::9"]
