# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task that failed has to say, in one sentence that names host and task. Pure.

A role's own modules and asserts say what, where, and what to do. Others leave it to their loop's
items, to an answer of the API in JSON, to stderr, or say nothing at all.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: What ansible-core puts before a message; behind it speaks somebody who knows nothing of roles.
_PREFIX = re.compile(r"^(?:(?:Task|Action|Module) failed: )+")
#: Messages that say nothing.
_EMPTY = {"", "unknown error", "assertion failed", "non-zero return code", "module failure"}
_OURS = ("k8snet.cni.",)
_SPEAKERS = {"assert", "fail"}
_LONGEST = 600
_DENIED = "docs/rbac/remediation.yml holds the role that the account needs."
_ABOVE = "What the task printed above says more."


def sentence(result: dict[str, Any], task: str = "", action: str = "", host: str = "") -> str:
    """Return why a task failed. ``result``: ansible_failed_result; ``host``: "" for none."""
    reason, known = _reason(result)
    plain = action.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
    if not known or not (plain in _SPEAKERS or action.startswith(_OURS)):
        named = f"task '{task}'" if task else "a task"
        remedy = _DENIED if _denied(result) else _ABOVE
        reason = f"{named} failed: {_ended(reason)} {remedy}"
        reason = reason if _place(host, reason) else reason[0].upper() + reason[1:]
    return _ended(_place(host, reason) + reason)


def _place(host: str, text: str) -> str:
    """Name the host unless the text does so, or the host is the controller."""
    named = re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", text)
    return "" if named or host in ("", "localhost") else f"{host}: "


def _reason(result: dict[str, Any]) -> tuple[str, bool]:
    """Return the reason, and whether the task itself has given it."""
    if result.get("_ansible_no_log"):
        return "it is not told why, since it handles secrets", False
    items = result.get("results")
    if isinstance(items, list):
        bad = [i for i in items if isinstance(i, dict) and (i.get("failed") or _lost(i))]
        if bad:
            found = [(item, *_reason(item)) for item in bad]
            texts = [_ended(_of_item(item) + text) for item, text, _known in found]
            return " ".join(dict.fromkeys(texts)), all(known for _item, _text, known in found)
    message = str(result.get("msg") or "").strip()
    text = _PREFIX.sub("", message)
    if text.rstrip(".").lower() not in _EMPTY:
        return _short(_answer(text)), text == message
    return _short(_traces(result)), False


def _lost(result: dict[str, Any]) -> bool:
    return bool(result.get("unreachable"))


def _of_item(item: dict[str, Any]) -> str:
    """Name the loop's item unless it is a whole object, or its message names it."""
    label = item.get("_ansible_item_label", item.get(str(item.get("ansible_loop_var", "item"))))
    named = str(label) in str(item.get("msg"))
    return "" if named or not isinstance(label, (str, int)) else f"{label}: "


def _answer(text: str) -> str:
    """Replace an API server's Status object by its message."""
    start = text.find('{"kind":"Status"')
    if start < 0:
        return text
    try:
        status = json.JSONDecoder().raw_decode(text[start:])[0]
    except ValueError:
        return text
    said = status.get("message") or status.get("reason")
    return f"{text[:start]}{said}" if said else text


def _denied(result: dict[str, Any]) -> bool:
    found = [result, *(r for r in result.get("results") or () if isinstance(r, dict))]
    return any(
        r.get("status") in (401, 403) or re.search(r'"code": ?40[13]\b', str(r.get("msg")))
        for r in found
    )


def _traces(result: dict[str, Any]) -> str:
    """Return what there is where a message is missing."""
    for key in ("stderr", "module_stderr", "stdout", "module_stdout"):
        lines = str(result.get(key) or "").strip().splitlines()
        if lines:
            return lines[-1].strip()
    if result.get("assertion"):
        return f"not so: {result['assertion']}"
    if result.get("attempts"):
        return f"it was not as expected after {result['attempts']} tries"
    return f"it ended with {result['rc']}" if "rc" in result else "it gave no reason"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
