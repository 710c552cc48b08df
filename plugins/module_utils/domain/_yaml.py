# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML kept as text inside ConfigMaps. Controller side only: nodes need not have PyYAML."""

from __future__ import annotations

from typing import Any

try:
    import yaml
except ImportError:
    # Whoever connects to a cluster has it (kubernetes needs it) or was told that it is missing.
    yaml = None  # type: ignore[assignment,unused-ignore]


def parse_yaml(text: str) -> tuple[Any, str | None]:
    """Return (document, None), or (None, why it is no YAML, without quoting the text)."""
    try:
        return yaml.safe_load(text), None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return None, "not valid YAML" + (f" (line {mark.line + 1})" if mark else "")


def to_yaml(document: Any) -> str:
    """Return a document as YAML in the order of its keys, for a person to copy."""
    return str(yaml.safe_dump(document, sort_keys=False, default_flow_style=False, width=100))
