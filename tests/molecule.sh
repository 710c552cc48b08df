#!/usr/bin/env bash
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs the roles' scenarios, all of them or those named, on one lab, which goes with this script
# however it ends. With K8SNET_INVENTORY and K8SNET_KUBECONFIG set they run on those machines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export MOLECULE_GLOB='molecule/*/molecule.yml'
export K8SNET_LAB=${K8SNET_LAB:-molecule}
if [ -z "${K8SNET_INVENTORY:-}" ]; then
    export K8SNET_OWN_LAB=1 K8SNET_LAB_OWNER=$$ K8SNET_INVENTORY=/run/k8snet-lab/$K8SNET_LAB/inventory.yml
    export K8SNET_KUBECONFIG=/run/k8snet-lab/$K8SNET_LAB/api/kubeconfig
fi
# An interrupted run leaves Molecule believing that the nodes exist.
molecule reset --scenario-name default >/dev/null 2>&1 || rm -rf "$HOME/.ansible/tmp/molecule".*
remove_lab() { python -m tests.lab down >/dev/null; }
trap remove_lab EXIT
if [ $# -gt 0 ]; then
    for name in "$@"; do molecule test --scenario-name "$name"; done
else
    molecule test --all
fi
if [ -n "${K8SNET_OWN_LAB:-}" ] && python -m tests.lab status >/dev/null; then
    echo "tests/molecule.sh: Molecule's destroy has left lab '$K8SNET_LAB' up" >&2
    exit 1
fi
