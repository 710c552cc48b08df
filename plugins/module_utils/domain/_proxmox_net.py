# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line ``netN`` of a Proxmox VM: read, and given or relieved of VLANs. Pure.

Source: qemu-server ``src/PVE/QemuServer/Network.pm`` (the options), pve-common
``src/PVE/JSONSchema.pm`` (how such lines are read) and ``src/PVE/Network.pm`` (what a port passes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

HIGHEST = 4094
TAGGED, UNTAGGED = "tagged", "untagged"
#: Without a tag, frames without one belong to this VLAN of the bridge.
_NATIVE = 1
MODELS = frozenset(
    (
        *("e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551"),
        *("i82557b", "i82559er", "ne2k_isa", "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3"),
    )
)
_MAC = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}", re.IGNORECASE)
_TRUNKS = re.compile(r"[0-9]+(?:-[0-9]+)?(?:;[0-9]+(?:-[0-9]+)?)*")
_NUMBER = re.compile(r"[0-9]+")

Range = tuple[int, int]


class NetLineError(ValueError):
    """The line is none, or cannot be changed as asked; the message says why."""


@dataclass(frozen=True)
class NetLine:
    """One line. ``parts`` are its options as they stand; ``str()`` gives it back unchanged."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join(self.parts)

    @property
    def options(self) -> dict[str, str]:
        """Return option -> value; a model with its MAC becomes ``model`` and ``macaddr``."""
        found: dict[str, str] = {}
        for part in self.parts:
            if part.strip():
                _take(found, part)
        return found

    @property
    def mac(self) -> str | None:
        """Return the MAC in lower case, None where Proxmox is to make one up."""
        return self.options.get("macaddr", "").lower() or None

    @property
    def bridge(self) -> str | None:
        return self.options.get("bridge")

    @property
    def tag(self) -> int | None:
        return int(self.options["tag"]) if "tag" in self.options else None

    @property
    def trunks(self) -> tuple[Range, ...] | None:
        """Return the VLANs of ``trunks`` as ranges, None without that option."""
        text = self.options.get("trunks")
        return None if text is None else tuple(_range(item) for item in text.split(";"))

    def passes(self, vlan: int) -> str | None:
        """Return how a VLAN passes the port: TAGGED, UNTAGGED, or None for not at all.

        Without ``tag`` and ``trunks`` all pass. With ``tag`` alone it is the only one. ``tag``
        takes its VLAN's tag off, whatever ``trunks`` says.
        """
        if vlan == (self.tag or _NATIVE):
            return UNTAGGED
        ranges = self.trunks
        if ranges is None:
            return TAGGED if self.tag is None else None
        return TAGGED if any(low <= vlan <= high for low, high in ranges) else None

    def add(self, vlans: Iterable[int]) -> NetLine:
        """Return the line with the VLANs passing tagged; those that do already change nothing.

        Raises NetLineError where a VLAN is the port's untagged one.
        """
        for vlan in wanted(vlans):
            self._refuse_untagged(vlan)
        lacking = [str(vlan) for vlan in wanted(vlans) if self.passes(vlan) is None]
        if not lacking:
            return self
        former = self.options.get("trunks")
        text = ";".join(([former] if former else []) + lacking)
        return self._with_trunks(text)

    def remove(self, vlans: Iterable[int]) -> NetLine:
        """Return the line with the VLANs not passing; ranges are split, others stay as written.

        Raises NetLineError where a VLAN is the port's untagged one, or passes because all do.
        """
        gone = [vlan for vlan in wanted(vlans) if self.passes(vlan) is not None]
        for vlan in gone:
            self._refuse_untagged(vlan)
        if not gone:
            return self
        if self.trunks is None:
            raise NetLineError(
                f"{_vlans(gone)} passes since every VLAN does: the line has neither tag nor "
                "trunks. Name the VLANs that are to stay in trunks by hand."
            )
        left = [item for old in self.options["trunks"].split(";") for item in _without(old, gone)]
        if not left and self.tag is None:
            raise NetLineError(
                f"without {_vlans(gone)} trunks would be empty, and a line with neither tag nor "
                "trunks passes every VLAN. Give the line a tag first."
            )
        return self._with_trunks(";".join(left))

    def same(self, other: NetLine, beside: str = "") -> bool:
        """Return whether both say the same, beside one option: Proxmox sorts what it writes."""
        return _comparable(self, beside) == _comparable(other, beside)

    def _refuse_untagged(self, vlan: int) -> None:
        if self.passes(vlan) == UNTAGGED:
            how = f"tag={vlan}" if self.tag == vlan else "the bridge's own without a tag"
            raise NetLineError(
                f"VLAN {vlan} is the port's untagged VLAN ({how}), so that it never has a tag "
                "there. Choose another VLAN, or another NIC for it."
            )

    def _with_trunks(self, text: str) -> NetLine:
        """Return the line with other trunks, "" for none: in their place, else behind the tag."""
        made = [f"trunks={text}"] if text else []
        places = [i for i, part in enumerate(self.parts) if _key(part) == "trunks"]
        if places:
            at = places[0]
            return NetLine((*self.parts[:at], *made, *self.parts[at + 1 :]))
        places = [i for i, part in enumerate(self.parts) if _key(part) == "tag"]
        at = places[0] + 1 if places else len(self.parts)
        return NetLine((*self.parts[:at], *made, *self.parts[at:]))


def parse(text: str) -> NetLine:
    """Read a line. Options that are not known here stay. Raises NetLineError."""
    line = NetLine(tuple(text.split(",")))
    options = line.options
    if options.get("model") not in MODELS:
        raise NetLineError(f"it names no NIC model that is known: '{text}'")
    if "macaddr" in options and not _MAC.fullmatch(options["macaddr"]):
        raise NetLineError(f"'{options['macaddr']}' is no MAC address of a NIC")
    tag = options.get("tag")
    if tag is not None and not (_NUMBER.fullmatch(tag) and 1 <= int(tag) <= HIGHEST):
        raise NetLineError(f"tag={tag} is none of 1 to {HIGHEST}")
    if "trunks" in options and not _TRUNKS.fullmatch(options["trunks"]):
        raise NetLineError(f"trunks={options['trunks']} is no list of VLANs such as 2-4;181")
    for low, high in line.trunks or ():
        if not 1 <= low <= high <= HIGHEST:
            raise NetLineError(f"trunks={options['trunks']} has no VLANs of 1 to {HIGHEST}")
    return line


def wanted(vlans: Iterable[int]) -> list[int]:
    """Return each VLAN once, in their order. Raises NetLineError for what is none."""
    found = list(dict.fromkeys(vlans))
    bad = [vlan for vlan in found if not 1 <= vlan <= HIGHEST]
    if bad:
        raise NetLineError(f"{bad[0]} is none of 1 to {HIGHEST}")
    return found


def _take(found: dict[str, str], part: str) -> None:
    key, equals, value = part.partition("=")
    if not equals:
        key, value = "model", part
    elif not key or not value:
        raise NetLineError(f"'{part}' is no option with a value")
    if equals and key in MODELS:
        _once(found, "model", key)
        key = "macaddr"
    _once(found, key, value)


def _once(found: dict[str, str], key: str, value: str) -> None:
    if key in found:
        raise NetLineError(f"it says {key} twice")
    found[key] = value


def _key(part: str) -> str:
    return part.partition("=")[0]


def _range(item: str) -> Range:
    low, _dash, high = item.partition("-")
    return int(low), int(high or low)


def _without(item: str, gone: list[int]) -> list[str]:
    """Return what is left of one item of trunks."""
    low, high = _range(item)
    inside = sorted(vlan for vlan in gone if low <= vlan <= high)
    if not inside:
        return [item]
    edges = [low - 1, *inside, high + 1]
    pairs = [(a + 1, b - 1) for a, b in zip(edges, edges[1:]) if a + 1 <= b - 1]
    return [str(a) if a == b else f"{a}-{b}" for a, b in pairs]


def _comparable(line: NetLine, beside: str) -> dict[str, str]:
    options = line.options
    options["macaddr"] = options.get("macaddr", "").lower()
    options.pop(beside, None)
    return options


def _vlans(vlans: list[int]) -> str:
    return ("VLAN " if len(vlans) == 1 else "VLANs ") + ", ".join(map(str, vlans))
