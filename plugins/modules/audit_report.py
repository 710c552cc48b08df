#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_report
short_description: Write an audit's findings to a file and print its summary
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Writes C(findings.json) into a folder on the controller, with mode 0600, at once or not at all. No symbolic link is
    followed to do so.
  - The file is described by C(docs/schema/findings.schema.json).
  - Reports are the one thing that this collection writes in check mode too, since a report of what was seen is what
    somebody asked for.
extends_documentation_fragment:
  - k8snet.cni.attributes
attributes:
  check_mode:
    support: partial
    details:
      - The report is written in check mode too, and the result is the same.
  diff_mode:
    support: full
    details:
      - Shows the findings, one line each.
  idempotent:
    support: full
    details:
      - Changed only if the findings differ from those of the file before. The file itself is always written, so that its
        C(generated_at) tells when the last audit ran.
  action:
    description: Runs a part on the controller, to print the summary.
    support: full
options:
  report:
    description: What the filter P(k8snet.cni.audit_findings#filter) returned.
    type: dict
    required: true
  path:
    description: Folder for the report. It is created with mode 0700 if it does not exist.
    type: path
    required: true
  print_summary:
    description: Whether to print the summary.
    type: bool
    default: true
  secret:
    description: Whether to return RV(secret_data).
    type: bool
    default: false
seealso:
  - plugin: k8snet.cni.audit_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the report
  k8snet.cni.audit_report:
    report: "{{ cluster.k8snet_cluster | k8snet.cni.audit_findings(hosts) }}"
    path: /var/lib/k8snet/report
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: Path of the file.
  type: str
  returned: success
  sample: /root/k8snet-report/findings.json
counts:
  description: Number of findings by severity (C(critical), C(warning), C(info)), of C(nodes) and of those C(visited).
  type: dict
  returned: success
digest:
  description: SHA-256 over what the report says, times left out.
  type: str
  returned: success
secret_data:
  description:
    - The report as C(data) of a Secret, null unless O(secret=true). C(generated_at) is left out, so that the Secret changes
      only when the findings do.
  type: dict
  returned: success
"""

import json
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._report_file import (
    Folder,
    ReportError,
    digest,
    secret_data,
)

FILE = "findings.json"


def lines(report: dict[str, Any] | None) -> str:
    """Return one line per finding, for the diff."""
    findings = (report or {}).get("findings") or []
    return "".join(f"{f['severity']} {f['id']} {f['subject']}: {f['summary']}\n" for f in findings)


def former(folder: Folder) -> dict[str, Any] | None:
    """Return the report of the file before, None if there is none or it is no report."""
    content = folder.read(FILE)
    try:
        report = json.loads(content) if content else None
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def run(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Write the report and return the module's result. Raises ReportError."""
    report = {k: v for k, v in params["report"].items() if k != "summary"}
    report = {"generated_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"), **report}
    text = (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode()
    # Without the time, so that the Secret is written again only when the findings differ.
    kept = {k: v for k, v in report.items() if k != "generated_at"}
    data = secret_data(json.dumps(kept, sort_keys=True).encode()) if params["secret"] else None
    folder = Folder(params["path"])
    try:
        before = former(folder)
        folder.write(FILE, text)
    finally:
        folder.close()
    changed = before is None or digest(before) != digest(report)
    return {
        "changed": changed,
        "path": f"{folder.path}/{FILE}",
        "counts": report["counts"],
        "digest": digest(report),
        "secret_data": data,
        "diff": {
            "before_header": f"{folder.path}/{FILE}",
            "after_header": f"{folder.path}/{FILE}",
            "before": lines(before) if changed else lines(report),
            "after": lines(report),
        },
    }


def main() -> None:
    """Write the report and return where."""
    module = AnsibleModule(
        argument_spec={
            "report": {"type": "dict", "required": True},
            "path": {"type": "path", "required": True},
            "print_summary": {"type": "bool", "default": True},
            "secret": {"type": "bool", "default": False, "no_log": False},
        },
        supports_check_mode=True,
    )
    if "findings" not in module.params["report"] or "counts" not in module.params["report"]:
        module.fail_json(
            msg="Failed to write the report: 'report' has no findings. Give what the filter "
            "k8snet.cni.audit_findings returned."
        )
    try:
        module.exit_json(**run(module.params, datetime.now(timezone.utc)))
    except ReportError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
