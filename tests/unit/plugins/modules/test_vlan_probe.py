# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be asked is refused, and says why."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.modules import vlan_probe

WANTED = {"interface": "lo", "vlan": 181, "targets": ["172.18.181.1"], "peers": {}}
WANTED |= {"listen": 0.5, "interval": 0.3}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interface": "gone"}, "No such interface on this node: 'gone'"),
        ({"interface": "../lo"}, "No such interface on this node"),
        ({"interface": "lo"}, "lo is no Ethernet interface"),
        ({"vlan": 4095}, "vlan: 4095 is none of 1 to 4094"),
        ({"vlan": -1}, "vlan: -1 is none"),
        ({"targets": ["172.18.181.0/24"]}, "'172.18.181.0/24' is no IP address"),
        ({"targets": ["224.0.0.1"]}, "'224.0.0.1' is no address that a host has"),
        ({"targets": []}, "targets: name one at least"),
        ({"targets": [f"192.0.2.{n}" for n in range(65)]}, "targets: 65 addresses, and at most 64"),
        ({"peers": {"node2": "x"}}, "peers: 'x' is no MAC address"),
        ({"listen": 0}, "listen must be from 0.5 to 60"),
        ({"interval": 0}, "interval must be from 0.1 to 60"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, words):
    with pytest.raises(vlan_probe.VlanProbeError) as refused:
        vlan_probe.probe({**WANTED, **options})
    assert words in str(refused.value)
