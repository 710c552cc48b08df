#!/usr/bin/env bash
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prepares this machine for the lab, the tests and the linters: Debian packages by name, a virtual
# environment, the collections. What is slow is kept outside the checkout, in $K8SNET_CACHE.
#
#   tests/setup.sh check     says in the first second what is missing and cannot be installed
#   tests/setup.sh python    virtual environment and collections only (needs no root)
#   tests/setup.sh all       Debian packages as well
#   tests/setup.sh venv      prints where the virtual environment lies
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${K8SNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/k8snet}
requirements=$here/tests/requirements.txt
# The collections that ours depends on are taken from the PyPI package of Ansible's community
# distribution: the tests need no access to Galaxy.
distribution=ansible==12.3.0
dependencies=(kubernetes.core community.proxmox)

# Debian package for each program that the lab uses.
declare -A package_of=(
    [ovs-vswitchd]=openvswitch-switch [ovsdb-tool]=openvswitch-switch [debootstrap]=debootstrap
    [ip]=iproute2 [iptables-nft-save]=iptables [nft]=nftables
    [ipset]=ipset [ipvsadm]=ipvsadm [ssh]=openssh-client [mkfs.ext4]=e2fsprogs [ethtool]=ethtool
    [git]=git [ping]=iputils-ping [unshare]=util-linux [setpriv]=util-linux
    # For the nodes' netfilter modules, which are built once.
    [gcc]=gcc [make]=make [flex]=flex [bison]=bison [bc]=bc [xz]=xz-utils [strip]=binutils
)

say() { printf '==> %s\n' "$*"; }
die() {
    printf 'k8snet: %s\n' "$*" >&2
    exit 1
}

python_found=
find_python() { # the newest of 3.11 to 3.13 that is installed
    local candidate
    [ -z "$python_found" ] || { echo "$python_found" && return; }
    for candidate in ${K8SNET_PYTHON:-} python3.13 python3.12 python3.11 python3 /usr/bin/python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

missing_packages() {
    local program
    {
        for program in "${!package_of[@]}"; do
            command -v "$program" >/dev/null || echo "${package_of[$program]}"
        done
        find_python >/dev/null || echo python3
        # Debian splits ensurepip from its Python: without it there is no virtual environment.
        if ! "$(find_python || echo true)" -c 'import ensurepip' 2>/dev/null; then
            echo python3-venv
        fi
        [ -e /usr/include/stdio.h ] || echo libc6-dev
        [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
    } | sort -u
}

check() {
    local missing
    [ "$(id -u)" -eq 0 ] || die "not root: the lab makes network namespaces, taps and mounts of its own. Run it again as root, e.g. 'sudo make …'."
    [ "$(uname -m)" = x86_64 ] || die "machine is $(uname -m): the nodes' kernel is packaged for x86_64 only. Use an x86_64 machine."
    [ -e /dev/net/tun ] || die "/dev/net/tun is missing: the nodes' NICs are taps. Load the kernel module 'tun' (modprobe tun)."
    unshare --net --mount --pid --fork true 2>/dev/null ||
        die "cannot make namespaces here (unshare --net --mount --pid failed). A container needs CAP_SYS_ADMIN."
    missing=$(missing_packages)
    if [ -n "$missing" ] && ! command -v apt-get >/dev/null; then
        die "missing: $(tr '\n' ' ' <<<"$missing")- and there is no apt-get to install them. Install them yourself, or use Debian 12 or later."
    fi
}

debian_packages() {
    local missing
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    say "Debian packages: $(tr '\n' ' ' <<<"$missing")"
    apt-get update -qq
    # shellcheck disable=SC2086  # one word per package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

venv_path() {
    local python
    python=$(find_python) || die "no Python 3.11, 3.12 or 3.13 found. Install python3 and python3-venv, or set K8SNET_PYTHON."
    printf '%s/venv-%s-%s\n' "$cache" "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
        "$(sha256sum <"$requirements" | cut -c 1-12)"
}

virtual_environment() {
    local venv
    venv=$(venv_path)
    if [ -e "$venv/complete" ]; then
        touch "$venv/complete"
        return
    fi
    # Those of former requirements, unless something may still use them.
    find "$cache" -maxdepth 2 -path '*/venv-*/complete' -mtime +7 -printf '%h\0' | xargs -0 -r rm -rf
    say "virtual environment: $venv (once, about a minute)"
    rm -rf "$venv"
    "$(find_python)" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    touch "$venv/complete"
}

collections() {
    local stored wheel name
    stored=$cache/collections-${distribution#*==}-$(IFS=+ && echo "${dependencies[*]}")
    if [ ! -e "$stored/complete" ]; then
        say "collections ${dependencies[*]}, out of $distribution: $stored (once)"
        rm -rf "$stored" && mkdir -p "$stored/wheel"
        "$(venv_path)/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$stored/wheel" "$distribution"
        wheel=$(echo "$stored"/wheel/*.whl)
        "$(venv_path)/bin/python" - "$wheel" "$stored" "${dependencies[@]}" <<'PYTHON'
import sys, zipfile

folders = tuple("ansible_collections/%s/" % name.replace(".", "/") for name in sys.argv[3:])
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [n for n in wheel.namelist() if n.startswith(folders)])
PYTHON
        rm -rf "$stored/wheel"
        touch "$stored/complete"
    fi
    mkdir -p "$here/.ansible/collections/ansible_collections/k8snet"
    for name in "${dependencies[@]%%.*}"; do
        ln -sfn "$stored/ansible_collections/$name" "$here/.ansible/collections/ansible_collections/$name"
    done
    ln -sfn ../../../.. "$here/.ansible/collections/ansible_collections/k8snet/cni"
}

one_at_a_time() {
    mkdir -p "$cache"
    exec 9>"$cache/setup.lock"
    flock --nonblock 9 || { say "waiting for another set-up to end" && flock 9; }
}

python_found=$(find_python || true)
case ${1:-} in
check) check ;;
python) one_at_a_time && virtual_environment && collections ;;
all) check && one_at_a_time && debian_packages && virtual_environment && collections ;;
venv) venv_path ;;
*)
    sed -n '/^#   /s/^#   //p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
