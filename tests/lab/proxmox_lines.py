# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of NICs as the double of Proxmox reads and writes them, and how it refuses."""

from __future__ import annotations

import hashlib
import json
import re

_MODELS = "e1000|e1000e|ne2k_pci|rtl8139|virtio|vmxnet3"
_CHECKS = {
    "model": _MODELS,
    "macaddr": r"(?i:[0-9a-f][02468ace](:[0-9a-f]{2}){5})",
    "bridge": r"[a-zA-Z][\w.-]{0,14}",
    "queues": r"\d|[1-5]\d|6[0-4]",
    "rate": r"\d+(\.\d+)?",
    "tag": r"[1-9]\d{0,2}|[1-3]\d{3}|40[0-8]\d|409[0-4]",
    "trunks": r"\d+(-\d+)?(;\d+(-\d+)?)*",
    "firewall": "[01]",
    "link_down": "[01]",
    "mtu": r"\d{1,5}",
}


class Refused(Exception):
    """An error of the API: HTTP code, reason, and what is wrong with which parameter."""

    def __init__(self, code: int, reason: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.errors = code, reason, errors or {}


def read_line(text: str) -> dict[str, str]:
    """Return the options of a line, or raise as the real one's schema does."""
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = "model", part
        elif re.fullmatch(_MODELS, key):
            found["model"], key = key, "macaddr"
        if key in found and key != "model":
            raise Refused(400, "Parameter verification failed.", {"net": f"duplicate key {key}"})
        if key not in _CHECKS or not re.fullmatch(_CHECKS[key], value):
            raise Refused(400, "Parameter verification failed.", {"net": f"invalid format: {part}"})
        found[key] = value
    if "model" not in found:
        raise Refused(400, "Parameter verification failed.", {"net": "missing model"})
    return found


def print_line(options: dict[str, str]) -> str:
    """Return the line as the real one writes it: the model with its MAC, the rest sorted."""
    rest = sorted(key for key in options if key not in ("model", "macaddr"))
    first = f"{options['model']}={options.get('macaddr', 'BC:24:11:00:00:01')}"
    return ",".join([first, *(f"{key}={options[key]}" for key in rest)])


def vlans_of(options: dict[str, str]) -> list[int]:
    """Return what passes tagged, by the list of trunks."""
    found: list[int] = []
    for item in filter(None, options.get("trunks", "").split(";")):
        low, _dash, high = item.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def digest(*parts: dict[str, str]) -> str:
    """Return what stands for a state of the configuration."""
    return hashlib.sha1(json.dumps(parts, sort_keys=True).encode()).hexdigest()
