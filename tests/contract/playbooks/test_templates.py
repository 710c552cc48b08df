# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every template of a role or playbook must obey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = [file for place in ("roles", "playbooks") for file in (ROOT / place).rglob("*.yml")]


def strings(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, (dict, list)):
        for one in found.values() if isinstance(found, dict) else found:
            yield from strings(one)


@pytest.mark.parametrize("file", [pytest.param(f, id=str(f.relative_to(ROOT))) for f in FILES])
def test_a_regular_expression_says_what_it_seems_to(file: Path) -> None:
    """Ansible doubles a template's backslashes: two of them look for a backslash in the text.

    In YAML's double quotes two are one, elsewhere they stay two.
    """
    templates = [text for text in strings(yaml.safe_load(file.read_text())) if "{{" in text]
    assert [text for text in templates if "\\\\" in text] == []
