# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Predicts which address Calico stores for a node: what it detects, and what it does with that.

Source: projectcalico/calico, node/pkg/lifecycle/startup/startup.go, configureIPsAndSubnets (master;
the same at v3.24.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._go_net import Address, parse_cidr, parse_ip
from ._nic_input import InputError, Nic, parse_family, parse_nics

_VARIABLE = {4: "IP", 6: "IP6"}


def next_address(
    ip_env: str | None,
    stored: str | None,
    detected: Mapping[str, Any] | None,
    family: Any = 4,
    nics: Any = None,
) -> dict[str, Any]:
    """What is stored after the next run, as ``{stored, action, explanation}``.

    *ip_env*: value of the variable IP (family 4) or IP6 (family 6) of calico-node; None is unset.
    *stored*: the address of the Calico Node now, e.g. ``10.0.0.5/24``; None or "" is none.
    *detected*: result of ``autodetect``; may be None where the variable makes no use of it.
    *nics*: as for ``autodetect``; gives a bare ``IP`` its prefix and tells what is not on the host.

    ``action``: ``set`` (stored is new), ``keep``, ``fail`` (calico-node exits with 1; stored is
    what stays behind) or ``unknown``. With CALICO_NETWORKING_BACKEND=none Calico does none of this.

    :raises InputError: the input has the wrong shape.
    """
    family = parse_family(family)
    for what, value in (("ip_env", ip_env), ("stored", stored)):
        if value is not None and not isinstance(value, str):
            raise InputError(f"{what}: expected a string, got {value!r}. Pass it as Calico has it.")
    host = parse_nics(nics) if nics is not None else None
    name, env, stored = _VARIABLE[family], ip_env or "", stored or None
    if env == "autodetect" or (not env and family == 4 and not stored):
        return _detecting(
            f"{name}={env}" if env else f"{name} is not set", stored, detected, family
        )
    if env == "none" and not stored:
        text = f"{name}=none: nothing is detected, and nothing is stored."
        return _answer(None, "keep", f"{text} Without the other family calico-node exits with 1.")
    if env in ("", "none"):
        why = "none: detection is off" if env else " is empty: detection is only for the first time"
        why = (
            " is empty: IPv6 is detected only with IP6=autodetect"
            if not env and family == 6
            else why
        )
        return _keeping(f"{name}{'=' if env else ''}{why}", stored, host)
    return _explicit(name, env, stored, family, host)


def _answer(stored: str | None, action: str, explanation: str) -> dict[str, Any]:
    return {"stored": stored, "action": action, "explanation": explanation}


def _detecting(
    setting: str, stored: str | None, detected: Mapping[str, Any] | None, family: int
) -> dict[str, Any]:
    if detected is None or detected.get("outcome") == "unknown":
        why = detected.get("error") if detected else "no detection was given"
        return _answer(stored, "unknown", f"{setting}: depends on the detection, and {why}")
    if detected.get("outcome") == "exit":
        return _answer(stored, "fail", f"{setting}: {detected.get('error')}")
    found = detected.get("address")
    if found and found == stored:
        return _answer(stored, "keep", f"{setting}: {found} is detected again.")
    if found:
        was = f" in place of {stored}" if stored else ""
        return _answer(found, "set", f"{setting}: {found} is detected and stored{was}.")
    why = detected.get("error") or detected.get("reason") or "nothing matches."
    if stored:
        says = f"{setting}: nothing is detected, so Calico silently keeps {stored}."
        return _answer(stored, "keep", f"{says} {why}")
    other = _VARIABLE[10 - family]
    return _answer(
        None,
        "fail",
        f"{setting}: nothing is detected and nothing is stored, so calico-node exits with 1; with"
        f" {other}=autodetect it first clears the stored address of the other family. {why}",
    )


def _keeping(why: str, stored: str | None, host: tuple[Nic, ...] | None) -> dict[str, Any]:
    if not stored:
        return _answer(None, "keep", f"{why}; nothing is stored.")
    address = parse_cidr(stored) or parse_ip(stored)
    if address is None:
        text = f"{why}, but the stored {stored!r} is no address: calico-node exits with 1."
        return _answer(stored, "fail", f"{text} Remove it from the Node.")
    return _answer(stored, "keep", f"{why}; {stored} is kept.{_warning(address, host)}")


def _explicit(
    name: str, env: str, stored: str | None, family: int, host: tuple[Nic, ...] | None
) -> dict[str, Any]:
    bare = parse_ip(env)
    address = bare or parse_cidr(env)
    if address is None or address.version != family:
        text = f"{name}={env} is no IPv{family} address: calico-node exits with 1."
        return _answer(stored, "fail", f"{text} Write an address, autodetect or none.")
    how = ""
    if bare and family == 6:
        how = " An address without prefix gets /128 in IP6, whatever its interface says."
    elif bare:
        if host is None:
            text = (
                f"{name}={env} takes the prefix of its interface, and the interfaces are not known."
            )
            return _answer(stored, "unknown", f"{text} Pass the node's nics.")
        address = _on_host(bare, host) or bare
        how = " The prefix is the interface's." if _on_host(bare, host) else " It gets /32."
    after = str(address)
    action = "keep" if after == stored else "set"
    return _answer(after, action, f"{name}={env}: {after} is stored.{how}{_warning(address, host)}")


def _on_host(wanted: Address, host: tuple[Nic, ...]) -> Address | None:
    for nic in reversed(host):
        for found in nic.addresses:
            if found.address.same_ip(wanted):
                return found.address
    return None


def _warning(address: Address, host: tuple[Nic, ...] | None) -> str:
    if host is None or _on_host(address, host):
        return ""
    return f" No interface of the node has {address.ip}; Calico only warns."
