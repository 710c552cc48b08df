#!/usr/bin/env bash
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every gate of the collection. All of them run, so that one run shows everything that is wrong.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
cache=${K8SNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/k8snet}
log=$(mktemp) && trap 'rm -f "$log"' EXIT
failed=()

gate() { # gate NAME COMMAND…: quiet when it passes
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        printf 'ok    %-14s %3d s\n' "$name" $((SECONDS - start))
    else
        printf 'FAIL  %-14s %3d s\n' "$name" $((SECONDS - start))
        tail -n 100 "$log" | sed 's/^/      /'
        failed+=("$name")
    fi
}

session() { gate "$1" nox --no-error-on-missing-interpreters -R --envdir "$cache/nox" --session "$1"; }

gate ruff ruff check .
gate format ruff format --check .
gate mypy mypy
gate shellcheck shellcheck tests/*.sh .ci/run
gate ansible-lint ansible-lint --strict
for name in yamllint docs-check license-check extra-checks build-import-check sanity; do session "$name"; done

if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
