# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a VLAN follows from what was heard, and from nothing else."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._vlan_verdict import (
    Answer,
    Heard,
    judge,
)

GATEWAY, OTHER = "172.18.181.1", "172.18.181.9"


def answer(tag, target=GATEWAY):
    return Answer(target, "02:00:00:00:00:02", tag, 0.4)


@pytest.mark.parametrize(
    ("heard", "verdict", "words"),
    [
        (Heard(answers=(answer(181), answer(181, OTHER))), "reached", None),
        (Heard(answers=(answer(181),)), "reached", f"Others than {OTHER} answered"),
        (Heard(peers={"node2": frozenset({181})}), "peers-only", "node2 was heard on it"),
        (Heard(answers=(answer(None),)), "tag-stripped", "untagged, as its native or access VLAN"),
        (Heard(answers=(answer(182),)), "wrong-vlan", "came back on VLAN 182, not on VLAN 181"),
        (Heard(frames={181: 4, None: 9}), "no-answer", "come in at eth0 (4 did)"),
        (Heard(frames={None: 9, 10: 2}), "nothing-heard", "(untagged: 9, VLAN 10: 2)"),
        (
            Heard(peers={"node2": frozenset({None})}, frames={None: 3}),
            "nothing-heard",
            "lacks the VLAN in its trunk",
        ),
        (Heard(), "no-answer", "Silence proves nothing"),
    ],
)
def test_the_verdict(heard, verdict, words):
    found = judge("eth0", 181, [GATEWAY, OTHER], ["node2"], heard)
    assert found.verdict == verdict
    assert (words is None) == (found.explanation is None)
    assert words is None or words in found.explanation


def test_what_is_missing_is_named():
    heard = Heard(answers=(answer(181), answer(None, OTHER)), peers={"node2": frozenset({181})})
    found = judge("eth0", 181, [GATEWAY, OTHER], ["node2", "node3"], heard)
    assert (found.missing, found.unheard) == ((OTHER,), ("node3",))


def test_untagged_is_a_way_like_any_other():
    assert judge("eth0", None, [GATEWAY], [], Heard(answers=(answer(None),))).verdict == "reached"
    found = judge("eth0", None, [GATEWAY], [], Heard(answers=(answer(10),)))
    assert found.verdict == "wrong-vlan"
