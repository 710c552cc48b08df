#!/usr/bin/env bash
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs the roles' scenarios, all of them or those named, on one lab, which goes with this script
# however it ends. With K8SNET_INVENTORY set they run on the machines of that inventory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export MOLECULE_GLOB='molecule/*/molecule.yml'
export K8SNET_LAB=${K8SNET_LAB:-molecule}
# An interrupted run leaves Molecule believing that the nodes exist.
molecule reset --scenario-name default >/dev/null 2>&1 || rm -rf "$HOME/.ansible/tmp/molecule".*
remove_lab() { python -m tests.lab down >/dev/null; }
trap remove_lab EXIT
if [ $# -gt 0 ]; then
    for name in "$@"; do molecule test --scenario-name "$name"; done
else
    molecule test --all
fi
