# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edits of a YAML text in which every line that is not concerned stays as it is, byte by byte.

PyYAML's node graph tells where a key and its value stand; the text is changed there and nowhere
else, and read again: what comes out must be what was wanted, else nothing is returned. No
round-trip writer is used, since all of them change text that nobody asked them to change.

A key that exists only as a comment (``#  Egress: true``) is set on a line of its own below that
comment, so that taking it away again leaves the text as it was. Pure.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

try:
    import yaml
except ImportError:
    # Whoever connects to a cluster has it (kubernetes needs it) or was told that it is missing.
    yaml = None  # type: ignore[assignment,unused-ignore]

Path = tuple[str, ...]


class TextError(Exception):
    """The text cannot be read or changed safely; says why and in which line."""


@dataclass(frozen=True)
class Place:
    """Where a key stands: its node, its value's, and the mapping around it (None: the document)."""

    key: Any
    value: Any
    mapping: Any


def parse(text: str) -> dict[str, Any]:
    """Return the document, {} for an empty one. Raises `TextError` for what is no mapping.

    A key that stands twice is an error too: Antrea up to 2.6 takes the last one (before 2.0 it does
    not start), later ones do not start.
    """
    document = _read(text)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise TextError("it is not a mapping of keys and values")
    for mapping in _mappings(_root(text)):
        seen: dict[str, int] = {}
        for key, _value in mapping.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise TextError(f"{name} stands twice, in line {seen[name]} and in line {line}")
            seen[name] = line
    return document


def _read(text: str) -> Any:
    node = _compose(text)
    if node is None:
        return None
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.YAMLError as error:
        raise TextError(f"it is not valid YAML{_line(error)}") from None


@functools.lru_cache(maxsize=8)
def _compose(text: str) -> Any:
    """Return the document's node, which nobody may change. Raises `TextError`."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise TextError(f"it is not valid YAML{_line(error)}") from None


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark else ""


def lines_of(text: str) -> dict[Path, tuple[int, str]]:
    """Return path -> (line counted from 1, its text) of every key in a mapping."""
    lines = text.split("\n")
    found: dict[Path, tuple[int, str]] = {}

    def walk(node: Any, path: Path) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            here, line = (*path, str(key.value)), key.start_mark.line
            found[here] = (line + 1, lines[line].strip())
            walk(value, here)

    walk(_root(text), ())
    return found


def edit(text: str, changes: dict[Path, Any]) -> str:
    """Return the text with values set, or (None) taken away. Raises `TextError`."""
    for path, value in changes.items():
        text = remove(text, path) if value is None else put(text, path, value)
    return text


def put(text: str, path: Path, value: Any) -> str:
    """Set one value; a mapping replaces what is there."""
    wanted = _editable(text, path)
    place = wanted
    for part in path[:-1]:
        if place.get(part) is None:
            place[part] = {}
        place = place[part]
        if not isinstance(place, dict):
            raise TextError(f"{'.'.join(path[:-1])} has a value and can have no key {path[-1]}")
    if path[-1] in place and _same(place[path[-1]], value):
        return text
    place[path[-1]] = value
    return _first_good(_ways_to_put(text, path, value), wanted, path)


def _editable(text: str, path: Path) -> dict[str, Any]:
    """Return the document, in which an alias would change two places at once."""
    document, seen = parse(text), set()
    for node in _nodes(_root(text)):
        if id(node) in seen:
            raise TextError(_by_hand(path))
        seen.add(id(node))
    return document


def remove(text: str, path: Path) -> str:
    """Take one key away with its value; comments around it stay."""
    wanted = _editable(text, path)
    place: Any = wanted
    for part in path[:-1]:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict) or path[-1] not in place:
        return text
    del place[path[-1]]
    spot = _find(_root(text), path)
    if spot.mapping.flow_style:
        if place:
            return _first_good(iter([_replace_flow(text, spot.mapping, place)]), wanted, path)
        if len(path) > 1:
            return remove(text, path[:-1])
    if not place:
        # A block without keys reads as null.
        _assign(wanted, path[:-1], None)
    return _first_good(iter([_without(text, spot)]), wanted, path)


def _first_good(ways: Iterator[str], wanted: dict[str, Any], path: Path) -> str:
    for text in ways:
        try:
            good = _same(_read(text) or {}, wanted)
        except TextError:
            continue
        if good:
            return text
    raise TextError(_by_hand(path))


def _by_hand(path: Path) -> str:
    return (
        f"{'.'.join(path)} cannot be changed without touching other lines (anchors, tags or an "
        "unusual layout). Change it by hand, then repeat"
    )


def _ways_to_put(text: str, path: Path, value: Any) -> Iterator[str]:
    """Yield the text with the value at each place where it may stand, the best one first."""
    root = _root(text)
    spot = _find(root, path) if root is not None else None
    if spot is not None:
        yield _with_value(text, spot, value)
        return
    depth = len(path) - 1
    parent = None
    while depth and root is not None and parent is None:
        parent = _find(root, path[:depth])
        depth -= parent is None
    for part in reversed(path[depth + 1 :]):
        value = {part: value}
    name = path[depth]
    if parent is not None and getattr(parent.value, "flow_style", False):
        yield _replace_flow(text, parent.value, {**_plain(parent.value), name: value})
        return
    yield from _ways_to_insert(text, root, parent, name, value)


def _ways_to_insert(text: str, root: Any, parent: Place | None, name: str, value: Any) -> Any:
    lines = text.split("\n")
    block = parent.value if parent else root
    above = parent.key.start_mark.column if parent else -1
    children = block.value if isinstance(block, yaml.MappingNode) else []
    column = children[0][0].start_mark.column if children else None
    first = parent.key.start_mark.line + 1 if parent else 0
    comment = re.compile(rf"^( *)#( *){re.escape(name)}:(\s|$)")
    for number in range(first, _end_of_block(root, parent, len(lines))):
        match = comment.match(lines[number])
        if not match:
            continue
        own = len(match[1]) + len(match[2])
        if own > above if parent else own == 0:
            yield _insert(lines, number + 1, column if column is not None else own, name, value)
    if column is None:
        column = above + 2 if parent else 0
    if children:
        yield _insert(lines, _last_line(children[-1][1], children[-1][0]) + 1, column, name, value)
        return
    if not parent:
        yield _insert(lines, len(lines) - (lines[-1] == ""), column, name, value)
        return
    after = first
    while after < len(lines) and re.match(rf"^ {{{above + 1},}}#", lines[after]):
        after += 1
    yield _insert(lines, after, column, name, value)


def _insert(lines: list[str], at: int, column: int, name: str, value: Any) -> str:
    ending = "\r" if at and lines[at - 1].endswith("\r") else ""
    new = " " * column + f"{name}: {written(value)}" + ending
    return "\n".join([*lines[:at], new, *lines[at:]])


def _end_of_block(root: Any, parent: Place | None, count: int) -> int:
    """Return the line of the next key behind a block, all lines if there is none."""
    if parent is None:
        return count
    start = parent.key.start_mark.index
    inside = {id(node) for node, _unused in _keys_below(parent.value)}
    behind = [
        node.start_mark.line
        for node, _unused in _keys_below(root)
        if node.start_mark.index > start and id(node) not in inside
    ]
    return min(behind, default=count)


def _with_value(text: str, spot: Place, value: Any) -> str:
    """Replace a value; of one that takes lines of its own, comments between them stay."""
    node = spot.value
    new = written(value)
    if node.start_mark.index == node.end_mark.index:
        colon = text.index(":", spot.key.end_mark.index) + 1
        return f"{text[:colon]} {new}{text[colon:]}"
    if not _has_own_lines(node):
        start, end = node.start_mark.index, node.end_mark.index
        return text[:start] + new + text[end:]
    lines = text.split("\n")
    line = spot.key.start_mark.line
    colon = spot.key.end_mark.column + lines[line][spot.key.end_mark.column :].index(":") + 1
    rest = re.search(r"\s+#.*$|\r?$", lines[line][colon:])
    lines[line] = f"{lines[line][:colon]} {new}{rest[0] if rest else ''}"
    return "\n".join(_drop_lines(lines, line + 1, _last_line(node, spot.key)))


def _without(text: str, spot: Place) -> str:
    lines = text.split("\n")
    first = spot.key.start_mark.line
    return "\n".join(_drop_lines(lines, first, _last_line(spot.value, spot.key)))


def _drop_lines(lines: list[str], first: int, last: int) -> list[str]:
    """Drop lines, but neither comments nor empty lines between them."""
    kept = [line for line in lines[first : last + 1] if not line.strip() or line.strip()[0] == "#"]
    return [*lines[:first], *kept, *lines[last + 1 :]]


def _has_own_lines(node: Any) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return node.style in ("|", ">")
    return not node.flow_style


def _last_line(node: Any, key: Any) -> int:
    """Return the last line of a value: the end that a parser gives includes comments behind it."""
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return max(int(key.start_mark.line), int(node.end_mark.line) - 1)
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        # The mark of an empty value may stand behind comments.
        empty = node.start_mark.index == node.end_mark.index
        return int(key.start_mark.line if empty else node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1], last[0]) if isinstance(last, tuple) else _last_line(last, last)


def _replace_flow(text: str, node: Any, value: dict[str, Any]) -> str:
    return text[: node.start_mark.index] + written(value) + text[node.end_mark.index :]


def written(value: Any) -> str:
    """Return a value on one line, strings always quoted, keys of mappings where they need it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(written(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: Any) -> str:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name))
    boolean = str(name).lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return str(name) if plain and not boolean else json.dumps(str(name))


def _root(text: str) -> Any:
    node = _compose(text)
    return node if isinstance(node, yaml.MappingNode) else None


def _find(root: Any, path: Path) -> Any:
    """Return the `Place` of a path, None if there is no such key."""
    node, spot = root, None
    for part in path:
        if not isinstance(node, yaml.MappingNode):
            return None
        spot = next((Place(k, v, node) for k, v in node.value if k.value == part), None)
        if spot is None:
            return None
        node = spot.value
    return spot


def _keys_below(node: Any) -> Iterator[tuple[Any, Any]]:
    for mapping in _mappings(node):
        yield from mapping.value


def _mappings(node: Any) -> Iterator[Any]:
    for found in _nodes(node):
        if isinstance(found, yaml.MappingNode):
            yield found


def _nodes(node: Any) -> Iterator[Any]:
    """Yield a node and all values below it, in the order of the text."""
    if node is None:
        return
    yield node
    for item in node.value if not isinstance(node, yaml.ScalarNode) else ():
        yield from _nodes(item[1] if isinstance(item, tuple) else item)


def _plain(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.constructor.SafeConstructor().construct_document(node)
    return found


def _assign(document: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        document = document[part]
    if path:
        document[path[-1]] = value


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1, and null is not absent."""
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(
        other, sort_keys=True, default=str
    )
