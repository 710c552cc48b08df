# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interfaces that Calico skips by default, release by release.

Source: node/pkg/lifecycle/startup/autodetection/autodetection_linux.go of projectcalico/calico,
read at the tags v3.22.0 to v3.32.1 and on master.
"""

from __future__ import annotations

import re

_CALICO = (r"^vxlan\.calico.*", r"^vxlan-v6\.calico.*", r"^wireguard\.cali.*", r"^wg-v6\.cali.*")
_NODELOCALDNS = ("^nodelocaldns.*",)
_BASE = (
    *("docker.*", "cbr.*", "dummy.*", "virbr.*", "lxcbr.*", "veth.*", "lo"),
    *("cali.*", "tunl.*", "flannel.*", "kube-ipvs.*", "cni.*"),
)
_ANCHORED = tuple("^" + regex for regex in _BASE)
_NEWEST = (
    *("^docker.*", "^cbr.*", "^dummy.*", "^podman.*", "^virbr.*", "^lxcbr.*", "^veth.*", "^lo"),
    *("^br-.*", "^cali.*", "^tunl.*", "^flannel.*", "^kube-ipvs.*", "^cni.*"),
    *_CALICO,
    *_NODELOCALDNS,
)
# From which patch release on, in the release lines that changed the list; newest first.
_CHANGES = (
    ((3, 25, 0), _NEWEST),
    ((3, 24, 6), _ANCHORED + _CALICO + _NODELOCALDNS),
    ((3, 24, 4), _ANCHORED + _CALICO),
    ((3, 24, 3), _ANCHORED),
    ((3, 24, 0), _BASE),
    ((3, 23, 5), _ANCHORED + _CALICO),
    ((3, 23, 4), _ANCHORED),
)


def default_exclusions(calico_version: str | None = None) -> tuple[str, ...]:
    """The regexes that ``first-found`` and ``skip-interface=`` exclude.

    *calico_version* like ``v3.24.5``; without one, or when it is no release number, the list of
    v3.25.0 and everything since.
    """
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", calico_version or "", re.ASCII)
    if not found:
        return _NEWEST
    version = tuple(int(part or 0) for part in found.groups())
    return next((regexes for since, regexes in _CHANGES if version >= since), _BASE)
