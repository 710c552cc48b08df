# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the CLI speaks to the keeper: a JSON object each way on a socket in the run directory."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError

Handler = Callable[[dict[str, Any]], Any]


def serve(run: Path, handle: Handler) -> None:
    """Answers requests in threads of their own, in the background; the socket is root's alone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    listener.bind(str(run / "control"))
    os.umask(before)
    listener.listen(32)

    def accept() -> None:
        while True:
            channel, _unused = listener.accept()
            threading.Thread(target=_answer, args=(channel, handle), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _answer(channel: socket.socket, handle: Handler) -> None:
    with channel, channel.makefile("rw", encoding="utf-8") as stream:
        try:
            answer = {"result": handle(json.loads(stream.readline()))}
        except LabError as error:
            answer = {"what": error.what, "remedy": error.remedy}
        except Exception as error:
            # The user shall see it as a sentence; the keeper's log has where it came from.
            answer = {"what": f"the lab's keeper failed: {error!r}", "remedy": ""}
            raise
        finally:
            stream.write(json.dumps(answer) + "\n")


def ask(run: Path, do: str, **arguments: Any) -> Any:
    """Asks the keeper and returns its answer; LabError when it refuses or is not there."""
    try:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.connect(str(run / "control"))
    except OSError as error:
        raise LabError(
            f"lab '{run.name}' is not up ({run}/control: {error.strerror})",
            "'python -m tests.lab up' starts it; K8SNET_LAB names another instance.",
        ) from error
    with channel, channel.makefile("rw", encoding="utf-8") as stream:
        stream.write(json.dumps({"do": do, **arguments}) + "\n")
        stream.flush()
        line = stream.readline()
    if not line:
        raise LabError(f"lab '{run.name}' went down while it was asked to {do}")
    answer = json.loads(line)
    if "what" in answer:
        raise LabError(answer["what"], answer["remedy"])
    return answer["result"]
