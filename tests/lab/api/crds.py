# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CustomResourceDefinitions: what makes one acceptable, and the status it gets."""

from __future__ import annotations

from tests.lab.api.errors import Cause, Obj
from tests.lab.api.schema import structural_errors


def validate(crd: Obj) -> list[Cause]:
    """Return what is wrong with a CRD: name, versions, schemas that are not structural."""
    spec = crd["spec"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    out: list[Cause] = []
    if crd["metadata"]["name"] != wanted:
        name = crd["metadata"]["name"]
        why = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        out.append(Cause("FieldValueInvalid", "metadata.name", why))
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "Invalid value: must have exactly one version marked as storage version"
        out.append(Cause("FieldValueInvalid", "spec.versions", why))
    names = {version["name"] for version in versions}
    for index, stored in enumerate((crd.get("status") or {}).get("storedVersions") or ()):
        if stored not in names:
            why = f'Invalid value: "{stored}": must appear in spec.versions'
            out.append(Cause("FieldValueInvalid", f"status.storedVersions[{index}]", why))
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            why = "Required value: schemas are required"
            out.append(Cause("FieldValueRequired", path, why))
        else:
            out += structural_errors(schema, path)
    return out


def established(crd: Obj, now: str) -> Obj:
    """Return the status of a CRD that is served."""
    spec = crd["spec"]
    previous = (crd.get("status") or {}).get("conditions")
    conditions = previous or [
        {
            "type": kind,
            "status": "True",
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    stored = (crd.get("status") or {}).get("storedVersions") or []
    return {
        "conditions": conditions,
        "acceptedNames": dict(spec["names"]),
        "storedVersions": [*stored, *([] if storage in stored else [storage])],
    }
