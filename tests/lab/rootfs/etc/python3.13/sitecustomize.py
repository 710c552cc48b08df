# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what Python compiles out of zip files, as Python itself does for other files.

Ansible sends each module with all that it imports as a zip file, compiled anew in every task: four
fifths of what a task computes on an emulated node. Here a text is compiled once; its bytes are its
name, so that no other text is taken for it. The lab's controller uses this file too (inventory.py).
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport
from types import CodeType

# Nobody runs what another user wrote.
_FOLDER = f"{os.environ.get('K8SNET_LAB_COMPILED', '/var/tmp/lab-compiled')}-{os.getuid()}"
_compile = zipimport._compile_source  # type: ignore[attr-defined]


def _kept(name: str, source: bytes) -> CodeType:
    digest = _imp.source_hash(sys.hexversion, source).hex()
    path = f"{_FOLDER}/{digest}-{len(source)}"
    try:
        with open(path, "rb") as file:
            return marshal.loads(file.read())  # type: ignore[no-any-return]
    except (OSError, EOFError, ValueError, TypeError):
        pass
    code: CodeType = _compile(name, source)
    try:
        os.makedirs(_FOLDER, 0o700, exist_ok=True)
        with open(f"{path}.{os.getpid()}", "wb") as file:
            file.write(marshal.dumps(code))
        os.rename(file.name, path)
    except OSError:  # a full or read-only disk: compiled next time again
        pass
    return code


zipimport._compile_source = _kept  # type: ignore[attr-defined]
