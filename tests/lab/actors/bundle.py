# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node-side actors as one file: a zip application of the standard library's kind.

python3 k8snet-actors.pyz calico-node --kubeconfig FILE --node NAME
python3 k8snet-actors.pyz pods up --pod-cidr 10.244.1.0/24 --dns
"""

from __future__ import annotations

import zipfile
from pathlib import Path

NAME = "k8snet-actors.pyz"
_HERE = Path(__file__).resolve().parent
_FILES = {
    "tests/lab/api/client.py": _HERE.parent / "api" / "client.py",
    "tests/lab/actors/calico_detect.py": _HERE / "calico_detect.py",
    "tests/lab/actors/calico_bgp.py": _HERE / "calico_bgp.py",
    "tests/lab/actors/calico_node.py": _HERE / "calico_node.py",
    "tests/lab/actors/calico_vxlan.py": _HERE / "calico_vxlan.py",
    "tests/lab/actors/pods.py": _HERE / "pods.py",
    "tests/lab/actors/dns.py": _HERE / "dns.py",
}
_PACKAGES = ("tests", "tests/lab", "tests/lab/api", "tests/lab/actors")
_MAIN = """\
import sys
from importlib import import_module
known = {"calico-node": "calico_node", "pods": "pods"}
if len(sys.argv) < 2 or sys.argv[1] not in known:
    sys.exit("usage: k8snet-actors.pyz calico-node|pods ...")
sys.exit(import_module("tests.lab.actors." + known[sys.argv[1]]).main(sys.argv[2:]))
"""


def build(path: Path) -> Path:
    """Write the bundle to ``path`` and return it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, source in _FILES.items():
            bundle.write(source, name)
        for package in _PACKAGES:
            bundle.writestr(f"{package}/__init__.py", "")
        bundle.writestr("__main__.py", _MAIN)
    return path
