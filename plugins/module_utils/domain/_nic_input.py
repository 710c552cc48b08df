# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes the interfaces of a node from C(k8snet_nics), or from what somebody typed in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from . import _go_net


class InputError(ValueError):
    """The input has the wrong shape. The text says what, where, and the remedy."""


class NicAddress(NamedTuple):
    """An address on an interface. *flags* are the kernel's words, lower case."""

    address: _go_net.Address
    flags: tuple[str, ...]


class Nic(NamedTuple):
    """What the prediction needs of an interface. *up* is None when nobody said."""

    name: str
    up: bool | None
    addresses: tuple[NicAddress, ...]

    def of(self, family: int) -> list[NicAddress]:
        """The addresses of one family (4 or 6), in kernel order."""
        return [a for a in self.addresses if a.address.version == family]


def is_list(value: Any) -> bool:
    """Whether *value* is a list in the sense of YAML: a sequence, but no text."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def parse_family(value: Any) -> int:
    """4 or 6, also when written as text.

    :raises InputError: anything else.
    """
    if str(value) in ("4", "6"):
        return int(value)
    raise InputError(f"family: expected 4 or 6, got {value!r}. Write 4 for IPv4, 6 for IPv6.")


def parse_nics(nics: Any) -> tuple[Nic, ...]:
    """The interfaces in the order given, which must be the kernel's.

    *nics*: list of ``{name, up, addresses}``; more keys do no harm. ``addresses``: list of
    ``{address, prefix, flags}`` or ``"10.0.0.5/24"``.

    :raises InputError: the shape is another, or an address cannot be read.
    """
    if not is_list(nics):
        raise InputError(
            f"nics: expected a list of interfaces, got {_kind(nics)}."
            " Pass k8snet_nics of k8snet.cni.nic_facts."
        )
    return tuple(_parse_nic(nic, f"nics[{at}]") for at, nic in enumerate(nics))


def _parse_nic(nic: Any, where: str) -> Nic:
    if not isinstance(nic, Mapping):
        raise InputError(
            f"{where}: expected a dictionary, got {_kind(nic)}."
            " Each interface needs at least 'name' and 'addresses'."
        )
    name = nic.get("name")
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}.name: expected a non-empty string, got {name!r}. Set 'name'.")
    where = f"{where} ({name})"
    addresses = nic.get("addresses")
    if addresses is None:
        addresses = []
    if not is_list(addresses):
        raise InputError(
            f"{where}.addresses: expected a list, got {_kind(addresses)}."
            " Write each address as '10.0.0.5/24' or with the keys 'address' and 'prefix'."
        )
    up = nic.get("up")
    if up is not None and not isinstance(up, bool):
        raise InputError(
            f"{where}.up: expected true or false, got {up!r}. Leave it out if unknown."
        )
    parsed = tuple(_parse_address(a, f"{where}.addresses[{i}]") for i, a in enumerate(addresses))
    return Nic(name, up, parsed)


def _parse_address(value: Any, where: str) -> NicAddress:
    flags: tuple[str, ...] = ()
    text = value
    if isinstance(value, Mapping):
        if value.get("address") is None or value.get("prefix") is None:
            raise InputError(
                f"{where}: needs 'address' and 'prefix', got {dict(value)!r}. Set both."
            )
        text = f"{value['address']}/{value['prefix']}"
        given = value.get("flags") or ()
        flags = tuple(str(flag) for flag in given) if is_list(given) else ()
    address = _go_net.parse_cidr(text) if isinstance(text, str) else None
    if address is None:
        raise InputError(
            f"{where}: {text!r} is not an address with prefix. Write it like '10.0.0.5/24'."
        )
    return NicAddress(address, flags)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {str(value)[:60]!r}"
