# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tigera-operator of the lab: keeps DaemonSet calico-node as the Installation says.

It writes its defaults back into the Installation, resolves the ``overlay``, reverts edits of the
DaemonSet, and reports in TigeraStatus ``calico`` with the generation it has seen.
"""

from __future__ import annotations

from typing import Any

from tests.lab.actors import tigera_render as render
from tests.lab.actors.loop import Actor, stamp
from tests.lab.api.client import ApiStatus, Client

Obj = dict[str, Any]

_API = "/apis/operator.tigera.io/v1"
_SETS = f"/apis/apps/v1/namespaces/{render.NAMESPACE}/daemonsets"


class TigeraOperator(Actor):
    """One reconciliation does everything; ``version`` is the Calico version it installs."""

    name = "tigera-operator"
    watched = (f"{_API}/installations", _SETS)

    def __init__(self, client: Client, version: str = "v3.28.2", resync: float = 2.0) -> None:
        super().__init__(client, resync)
        self.version = version

    def reconcile(self) -> None:
        installation = self.client.find(f"{_API}/installations/default")
        if installation is None:
            return
        missing = render.defaults(installation.get("spec") or {})
        if missing:
            self.say(f"writing defaults into the Installation: {missing}")
            path = f"{_API}/installations/default"
            installation = self.client.patch(path, {"spec": {"calicoNetwork": missing}})
        overlay = self.client.find(f"{_API}/installations/overlay")
        spec = render.effective(installation["spec"], (overlay or {}).get("spec"))
        invalid = ""
        daemonset = None
        try:
            daemonset = self._apply(render.daemonset(installation, spec, self.version))
        except render.InvalidConfiguration as error:
            invalid = str(error)
            daemonset = self.client.find(f"{_SETS}/{render.NAME}")
        self._report(installation, daemonset, invalid)
        if not invalid:
            self._write_back(installation, spec)

    def _apply(self, wanted: Obj) -> Obj:
        """Make the DaemonSet as wanted; return it as it is now."""
        have = self.client.find(f"{_SETS}/{render.NAME}")
        if have is None:
            self.client.ensure("/api/v1/namespaces", {"metadata": {"name": render.NAMESPACE}})
            self.say("creating DaemonSet calico-node")
            return self.client.create(_SETS, wanted)
        spec = wanted["spec"]
        extra = "minReadySeconds" in have["spec"] and "minReadySeconds" not in spec
        if not extra and not render.differs(spec, have["spec"]):
            return have
        self.say("updating DaemonSet calico-node")
        body = {**wanted, "metadata": {**have["metadata"], **wanted["metadata"]}}
        return self.client.replace(f"{_SETS}/{render.NAME}", body)

    def _report(self, installation: Obj, daemonset: Obj | None, invalid: str) -> None:
        path = f"{_API}/tigerastatuses"
        status = self.client.find(f"{path}/calico")
        if status is None:
            kind = {"apiVersion": "operator.tigera.io/v1", "kind": "TigeraStatus"}
            status = self.client.ensure(path, {**kind, "metadata": {"name": "calico"}, "spec": {}})
        old = (status.get("status") or {}).get("conditions") or []
        generation = installation["metadata"]["generation"]
        new = render.conditions(daemonset, invalid, generation, old)
        if new == old:
            return
        for condition in new:
            condition.setdefault("lastTransitionTime", stamp())
        if new != old:
            body = {**status, "status": {"conditions": new}}
            self.client.replace(f"{path}/calico/status", body)
            self.say(", ".join(f"{c['type']}={c['status']}" for c in new))

    def _write_back(self, installation: Obj, spec: Obj) -> None:
        """Write what was resolved into the Installation's status."""
        status = installation.get("status") or {}
        wanted = {"variant": "Calico", "calicoVersion": self.version, "computed": spec}
        if any(status.get(key) != value for key, value in wanted.items()):
            body = {**installation, "status": {**status, **wanted}}
            try:
                self.client.replace(f"{_API}/installations/default/status", body)
            except ApiStatus as error:
                if error.reason != "Conflict":  # somebody was faster: the next round does it
                    raise
