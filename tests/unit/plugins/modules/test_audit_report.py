# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""audit_report: the file on the controller, in a folder that others may write to."""

from __future__ import annotations

import base64
import gzip
import json
import os
import stat
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _report_file
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._report_file import (
    Folder,
    ReportError,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._report import report
from ansible_collections.k8snet.cni.plugins.modules import audit_report

from tests.unit.audit_world import cluster, host, hosts

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
LATER = datetime(2026, 3, 1, 13, tzinfo=timezone.utc)
CLEAN = report(cluster(), hosts())
BAD = report(cluster(), [*hosts()[:2], host(3, state="unreachable", error="no route")])


def write(
    path: Path, found: dict[str, Any] | None = None, now: datetime = NOON, **more: Any
) -> Any:
    """Run the module's work."""
    found = CLEAN if found is None else found
    return audit_report.run({"report": found, "path": str(path), "secret": False, **more}, now)


def test_the_report_is_written_for_its_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        result = write(tmp_path / "new" / "folder")
    finally:
        os.umask(old)
    path = Path(result["path"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    content = json.loads(path.read_text())
    assert content["generated_at"] == "2026-03-01T12:00:00Z"
    assert content["counts"] == CLEAN["counts"]
    assert "summary" not in content


def test_a_report_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "findings.json").chmod(0o644)
    write(tmp_path)
    assert stat.S_IMODE((tmp_path / "findings.json").stat().st_mode) == 0o600


def test_the_same_findings_again_are_no_change_but_the_file_tells_the_new_time(
    tmp_path: Path,
) -> None:
    assert write(tmp_path)["changed"] is True
    again = write(tmp_path, now=LATER)
    assert again["changed"] is False
    assert again["diff"]["before"] == again["diff"]["after"]
    content = json.loads((tmp_path / "findings.json").read_text())
    assert content["generated_at"] == "2026-03-01T13:00:00Z"


def test_other_findings_are_a_change_that_the_diff_shows(tmp_path: Path) -> None:
    write(tmp_path)
    result = write(tmp_path, BAD)
    assert result["changed"] is True
    assert result["diff"]["before"] == ""
    assert result["diff"]["after"].startswith("critical NOD003 node3: ")


def test_the_number_of_requests_is_no_change(tmp_path: Path) -> None:
    write(tmp_path)
    more = {**CLEAN, "cluster": {**CLEAN["cluster"], "requests": 99}}
    assert write(tmp_path, more)["changed"] is False


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_broken_file_before_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "findings.json").write_text(content)
    assert write(tmp_path)["changed"] is True
    assert json.loads((tmp_path / "findings.json").read_text())["counts"]


def test_a_symbolic_link_is_refused_and_its_target_stays_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "findings.json").symlink_to(target)
    with pytest.raises(ReportError, match=r"symbolic link.*k8snet_report_dir"):
        write(folder)
    assert target.read_text() == "keep"
    assert os.listdir(folder) == ["findings.json"]


def test_a_dangling_link_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "findings.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReportError, match="symbolic link"):
        write(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_or_pipe_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a" / "findings.json").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / "findings.json")
    for folder in ("a", "b"):
        with pytest.raises(ReportError, match="no regular file"):
            write(tmp_path / folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
def test_a_folder_that_is_somebody_elses_link_in_a_shared_place_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    mine = tmp_path / "mine"
    mine.mkdir()
    (shared / "reports").symlink_to(mine)
    os.lchown(shared / "reports", 65534, 65534)
    with pytest.raises(ReportError, match="symbolic link"):
        write(shared / "reports")
    assert list(mine.iterdir()) == []
    os.lchown(shared / "reports", 0, 0)
    assert write(shared / "reports")["changed"] is True


def test_a_failed_write_leaves_the_old_report_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    before = (tmp_path / "findings.json").read_bytes()

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_report_file.os, "fsync", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write(tmp_path, BAD)
    assert (tmp_path / "findings.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["findings.json"]


def test_readers_see_a_whole_report_at_any_time(tmp_path: Path) -> None:
    write(tmp_path)
    done = threading.Event()
    broken: list[str] = []

    def watch() -> None:
        while not done.is_set():
            text = (tmp_path / "findings.json").read_text()
            if not text.endswith("}\n"):
                broken.append(text)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for round_ in range(50):
        write(tmp_path, BAD if round_ % 2 else CLEAN)
    done.set()
    watcher.join()
    assert broken == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"Failed to open the folder .*file/x.*k8snet_report_dir"):
        write(tmp_path / "file" / "x")


def test_the_secret_holds_the_whole_report(tmp_path: Path) -> None:
    data = write(tmp_path, BAD, secret=True)["secret_data"]
    unpacked = gzip.decompress(base64.b64decode(data["findings.json.gz"]))
    written = json.loads((tmp_path / "findings.json").read_text())
    del written["generated_at"]
    assert json.loads(unpacked) == written


def test_the_secret_is_the_same_until_the_findings_differ(tmp_path: Path) -> None:
    first, second = (write(tmp_path, BAD, secret=True)["secret_data"] for _unused in range(2))
    assert first == second


def test_a_report_too_large_for_a_secret_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    noise = base64.b64encode(os.urandom(900_000)).decode()
    with pytest.raises(ReportError, match=r"a Secret holds 1048576.*k8snet_report_secret"):
        write(tmp_path, {**BAD, "could_not_check": [{"why": noise}]}, secret=True)
    assert os.listdir(tmp_path) == []


def test_the_digest_changes_with_the_findings_and_not_with_time() -> None:
    assert _report_file.digest({**CLEAN, "generated_at": "x"}) == _report_file.digest(
        {**CLEAN, "generated_at": "y"}
    )
    assert _report_file.digest(CLEAN) != _report_file.digest(BAD)


def test_reading_does_not_wait_for_a_writer_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "findings.json")
    folder = Folder(str(tmp_path))
    with pytest.raises(ReportError):
        folder.read("findings.json")
    folder.close()
