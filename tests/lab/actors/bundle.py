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

import yaml

NAME = "k8snet-actors.pyz"
_HERE = Path(__file__).resolve().parent
#: Modules of this folder that run on nodes, and the commands among them.
_MODULES = (
    *("antrea_agent", "antrea_api", "antrea_gates", "antrea_ovs", "antrea_proxy", "antrea_rules"),
    *("antrea_egress", "antrea_egress_rules", "antrea_members", "antrea_node_policy"),
    "antrea_watchdog",
    *("calico_bgp", "calico_detect", "calico_node", "calico_vxlan"),
    *("dns", "health", "kubelet", "kubelet_pods", "pods", "rollout", "web"),
    *("kube_proxy", "kube_proxy_iptables", "kube_proxy_ipvs", "kube_proxy_nftables"),
    "kube_services",
)
_COMMANDS = {
    "antrea-agent": "antrea_agent",
    "antrea-ovs": "antrea_watchdog",
    "calico-node": "calico_node",
    "kube-proxy": "kube_proxy",
    "kubelet": "kubelet",
    "pods": "pods",
}
_FILES = {
    "tests/lab/api/client.py": _HERE.parent / "api" / "client.py",
    **{f"tests/lab/actors/{name}.py": _HERE / f"{name}.py" for name in _MODULES},
}
_PACKAGES = ("tests", "tests/lab", "tests/lab/api", "tests/lab/actors")
_MAIN = f"""\
import sys
from importlib import import_module
known = {_COMMANDS}
if len(sys.argv) < 2 or sys.argv[1] not in known:
    sys.exit("usage: k8snet-actors.pyz {"|".join(_COMMANDS)} ...")
sys.exit(import_module("tests.lab.actors." + known[sys.argv[1]]).main(sys.argv[2:]))
"""


def build(path: Path) -> Path:
    """Write the bundle to ``path`` and return it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, source in _FILES.items():
            bundle.write(source, name)
        # Antrea's configuration is YAML, which nodes cannot read without help.
        for source in sorted(Path(yaml.__file__).parent.glob("*.py")):
            if source.name != "cyaml.py":  # the part in C
                bundle.write(source, f"yaml/{source.name}")
        for package in _PACKAGES:
            bundle.writestr(f"{package}/__init__.py", "")
        bundle.writestr("__main__.py", _MAIN)
    return path
