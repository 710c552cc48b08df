# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON objects out of a byte stream, bounded in size and depth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64

_STRUCTURE = re.compile(rb'[{}\[\]"]')
_STRING_END = re.compile(rb'["\\]')
_BLANK = b" \t\r\n"


class FrameError(ValueError):
    """The bytes received are not a stream of JSON objects within bounds."""


class Framer:
    """Cuts a byte stream into JSON objects, however the pieces arrive.

    JSON-RPC over a stream has no length prefix: an object ends where its brackets close.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> None:
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._buffer = bytearray()
        self._closers = bytearray()
        self._scanned = 0
        self._in_string = False

    @property
    def pending(self) -> bool:
        """Whether an object was begun and is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Take ``data`` and yield each object that it completes. Raises FrameError."""
        self._buffer += data
        while True:
            end = self._scan()
            if end is None:
                if len(self._buffer) > self._max_bytes:
                    raise FrameError(f"an answer of more than {self._max_bytes} bytes")
                return
            frame = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._scanned = 0
            yield _decode(frame)

    def _scan(self) -> int | None:
        """Index just behind the first complete object in the buffer, or None."""
        buffer = self._buffer
        if not self._closers and not self._scanned:
            blank = len(buffer) - len(buffer.lstrip(_BLANK))
            if blank:
                del buffer[:blank]
            if buffer and buffer[0] != 0x7B:
                raise FrameError(f"expected a JSON object, got {_shown(bytes(buffer[:40]))}")
        while True:
            if self._in_string:
                if not self._skip_string():
                    return None
                continue
            found = _STRUCTURE.search(buffer, self._scanned)
            if found is None:
                self._scanned = len(buffer)
                return None
            self._scanned = found.end()
            if self._bracket(buffer[found.start()]) and not self._closers:
                return self._scanned

    def _skip_string(self) -> bool:
        """Go behind the string's closing quote; False when it has not arrived yet."""
        found = _STRING_END.search(self._buffer, self._scanned)
        if found is None:
            self._scanned = len(self._buffer)
            return False
        if self._buffer[found.start()] == 0x5C:
            if found.end() >= len(self._buffer):
                self._scanned = found.start()
                return False
            self._scanned = found.end() + 1
            return True
        self._scanned = found.end()
        self._in_string = False
        return True

    def _bracket(self, byte: int) -> bool:
        """Track one structural byte; True when it closed something."""
        if byte == 0x22:
            self._in_string = True
            return False
        if byte in b"{[":
            if len(self._closers) >= self._max_depth:
                raise FrameError(f"an answer nested deeper than {self._max_depth} levels")
            self._closers.append(0x7D if byte == 0x7B else 0x5D)
            return False
        if not self._closers or self._closers.pop() != byte:
            raise FrameError("brackets that do not match")
        return True


def _decode(frame: bytes) -> dict[str, Any]:
    try:
        message = json.loads(frame.decode("utf-8"), parse_constant=_no_constant, parse_int=_integer)
        if b"\\u" in frame:
            # A lone surrogate would pass here and fail later, when the facts are printed.
            json.dumps(message, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as exc:
        raise FrameError(f"not valid JSON ({exc}): {_shown(frame[:40])}") from exc
    if not isinstance(message, dict):
        raise FrameError("a JSON value that is not an object")
    return message


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _integer(digits: str) -> int:
    # OVSDB's have at most 20. A million would hold us for longer than any deadline.
    if len(digits) > 100:
        raise ValueError("an integer of more than 100 digits")
    return int(digits)


def _shown(data: bytes) -> str:
    return repr(data.decode("utf-8", "replace"))
