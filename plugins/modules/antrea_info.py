#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: antrea_info
short_description: Read how Antrea is installed, configured and running
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Reads Antrea's DaemonSet, Deployment, ConfigMap, pods, AntreaAgentInfos, AntreaControllerInfo and AntreaNodeConfigs, each
    kind once, by paged LIST where there are many.
  - Says which feature gates and options take effect in the version that runs, what is wrong with the configuration, and which
    rights are missing.
  - Fails when DaemonSets cannot be read; what else cannot be read is in RV(antrea.errors).
  - Gates are those of the files and of the version's defaults; a process that was not restarted since may still run others,
    see RV(antrea.restart_due).
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
  - k8snet.cni.cluster
options:
  review:
    description: Whether to ask the API server which of the needed rights the account has. One request per right.
    type: bool
    default: false
  page_size:
    description: Objects per page of a LIST.
    type: int
    default: 500
seealso:
  - module: k8snet.cni.antrea_config
  - module: k8snet.cni.antrea_agent
  - module: k8snet.cni.cluster_info
"""

EXAMPLES = r"""
- name: Read Antrea
  k8snet.cni.antrea_info:
  register: read

- name: Show the agents that have not reported for two minutes
  ansible.builtin.debug:
    msg: "{{ read.antrea.agents | selectattr('heartbeat_age_seconds', 'gt', 120) | map(attribute='node') }}"

- name: Tell whether secondary networks are on
  ansible.builtin.debug:
    msg: "{{ read.antrea.gates.SecondaryNetwork.enabled }}"
"""

RETURN = r"""
antrea:
  description: How Antrea is installed, configured and running.
  type: dict
  returned: success
  contains:
    installed: {description: Whether a DaemonSet runs antrea-agent., type: bool, returned: success}
    version: {description: "From the DaemonSet's image, else what agents report; null if untold.", type: str, returned: success, sample: v2.7.0}
    versions: {description: What agents report; more than one in mid-upgrade., type: list, elements: str, returned: success}
    namespace: {description: Its namespace., type: str, returned: success}
    daemonset: {description: "Namespace and name of the DaemonSet, null without one.", type: dict, returned: success}
    update_strategy: {description: "V(RollingUpdate) or V(OnDelete).", type: str, returned: success}
    config_map:
      description: The ConfigMap that the DaemonSet mounts, null if it could not be read.
      type: dict
      returned: success
      contains:
        namespace: {description: Namespace., type: str, returned: success}
        name: {description: "Name, up to v1.6 with a hash.", type: str, returned: success}
        text: {description: "Text of both files, under C(agent) and C(controller).", type: dict, returned: success}
        object: {description: "The whole object, for O(k8snet.cni.antrea_config#module:undo).", type: dict, returned: success}
    config:
      description: Both files as read; what is not set is not there.
      type: dict
      returned: success
      contains:
        agent: {description: "antrea-agent.conf, null if it could not be read.", type: dict, returned: success}
        controller: {description: antrea-controller.conf likewise., type: dict, returned: success}
    error: {description: "Why the files could not be read, null if they were.", type: str, returned: success}
    proxy_all: {description: Whether proxyAll is on and AntreaProxy with it., type: bool, returned: success}
    kube_apiserver_override: {description: The agents' kubeAPIServerOverride., type: str, returned: success}
    api_servers:
      description: Where the agents reach the API, without a Service in between.
      type: dict
      returned: success
      contains:
        source:
          description:
            - V(override) (kubeAPIServerOverride), V(endpoints) (EndpointSlice default/kubernetes), or V(kubeconfig) where
              neither could be read; null if that names a loopback address only.
          type: str
          returned: success
        addresses: {description: "Each as host:port.", type: list, elements: str, returned: success, sample: ["10.160.1.10:6443"]}
    traffic_encap_mode: {description: trafficEncapMode., type: str, returned: success}
    ovs_bridge: {description: Name of the integration bridge., type: str, returned: success}
    transport_interface: {description: "transportInterface, null if not set.", type: str, returned: success}
    transport_interface_cidrs: {description: transportInterfaceCIDRs., type: list, elements: str, returned: success}
    secondary_network:
      description: Bridges of SecondaryNetwork.
      type: dict
      returned: success
      contains:
        bridges: {description: "Bridges in antrea-agent.conf: name, interfaces.", type: list, elements: dict, returned: success}
        source:
          description:
            - V(static) if antrea-agent.conf sets a bridge, which wins over objects; V(nodeconfig) if only AntreaNodeConfigs
              do; null if none does.
          type: str
          returned: success
        node_configs:
          description: AntreaNodeConfigs, null if not served or not readable.
          type: list
          elements: dict
          returned: success
          contains:
            name: {description: Name., type: str, returned: success}
            node_selector: {description: Its nodeSelector., type: dict, returned: success}
            bridges: {description: "Its bridges: name, interfaces.", type: list, elements: dict, returned: success}
            created: {description: creationTimestamp; the oldest that selects a node counts., type: str, returned: success}
            object: {description: The whole object., type: dict, returned: success}
    gates:
      description: Feature gates by name, all that the version knows and what else the files set.
      type: dict
      returned: success
      contains:
        GATE:
          description: One gate, under its name.
          type: dict
          returned: success
          contains:
            known: {description: Whether the version has it., type: bool, returned: success}
            components: {description: "V(agent), V(controller) or both.", type: list, elements: str, returned: success}
            stage: {description: "V(alpha), V(beta), V(ga) or V(deprecated).", type: str, returned: success}
            default: {description: Its default in this version., type: bool, returned: success}
            locked: {description: Whether it cannot be set otherwise., type: bool, returned: success}
            configured: {description: "What each file says, null if nothing, under C(agent) and C(controller).", type: dict, returned: success}
            effective: {description: What takes effect in each of its components., type: dict, returned: success}
            enabled: {description: Whether it is on in all of them., type: bool, returned: success}
    problems:
      description: What is wrong with the files in this version.
      type: list
      elements: dict
      returned: success
      contains:
        component: {description: "V(agent) or V(controller).", type: str, returned: success}
        path: {description: The key., type: str, returned: success}
        line: {description: "Number of its line, null if it has none.", type: int, returned: success}
        text: {description: That line., type: str, returned: success}
        what: {description: What is wrong., type: str, returned: success}
        remedy: {description: What to do., type: str, returned: success}
        level:
          description: "V(fatal) (the next start fails), V(vain) (it has no effect) or V(note)."
          type: str
          returned: success
    served:
      description: CRDs that matter.
      type: dict
      returned: success
      contains:
        node_configs: {description: Whether AntreaNodeConfigs are; null if unknown., type: bool, returned: success}
        attachments: {description: Whether NetworkAttachmentDefinitions are; null if unknown., type: bool, returned: success}
    agents:
      description: Pods of antrea-agent, by node.
      type: list
      elements: dict
      returned: success
      contains:
        node: {description: The Node it runs on., type: str, returned: success}
        pod: {description: Name., type: str, returned: success}
        uid: {description: UID., type: str, returned: success}
        ready: {description: Whether it is ready., type: bool, returned: success}
        restarts: {description: How often its process was started again., type: int, returned: success}
        created_at: {description: When the pod was made., type: str, returned: success}
        started_at: {description: "Since when its process runs, null if it does not.", type: str, returned: success}
        waiting: {description: "Why its process does not run, null if it does.", type: str, returned: success}
        version: {description: What it reports., type: str, returned: success}
        heartbeat: {description: lastHeartbeatTime of its AntreaAgentInfo., type: str, returned: success}
        heartbeat_age_seconds: {description: "Its age by the API server's clock, null without one. One comes every minute.", type: float, returned: success}
        conditions: {description: "Its conditions as booleans. AgentHealthy is always true; look at the heartbeat.", type: dict, returned: success}
        ovs: {description: "Its Open vSwitch: version, bridge, flows.", type: dict, returned: success}
        local_pods: {description: Pods on its node., type: int, returned: success}
    controller:
      description: antrea-controller, null without one.
      type: dict
      returned: success
      contains:
        namespace: {description: Namespace of the Deployment., type: str, returned: success}
        name: {description: Its name., type: str, returned: success}
        version: {description: "From its image, else what it reports.", type: str, returned: success}
        ready: {description: Whether a pod of it is ready., type: bool, returned: success}
        pods: {description: "Its pods, with the keys of RV(antrea.agents) up to C(waiting).", type: list, elements: dict, returned: success}
        heartbeat: {description: lastHeartbeatTime of its AntreaControllerInfo., type: str, returned: success}
        heartbeat_age_seconds: {description: Its age., type: float, returned: success}
    restart_due: {description: "Which processes have not read the files as they are: agent, controller, why. Null without them.", type: dict, returned: success}
    owner: {description: "Who owns the ConfigMap and would revert a change: by, evidence.", type: dict, returned: success}
    permissions:
      description: The rights that a change and a restart need, with O(review=true).
      type: list
      elements: dict
      returned: success
      contains:
        verb: {description: Verb., type: str, returned: success}
        group: {description: API group., type: str, returned: success}
        resource: {description: Resource., type: str, returned: success}
        namespace: {description: "Namespace, null for cluster-wide.", type: str, returned: success}
        name: {description: "Name, null for all.", type: str, returned: success}
        allowed: {description: Whether the account has it; null if that may not be asked., type: bool, returned: success}
    errors:
      description: "What could not be read: resource, status, message."
      type: list
      elements: dict
      returned: success
    requests: {description: "Requests sent, retries included.", type: int, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing


def main() -> None:
    """Read, and return what was read."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "review": {"type": "bool", "default": False},
            "page_size": {"type": "int", "default": 500},
        },
        supports_check_mode=True,
    )
    with failing(module):
        api = _client.reachable(module.params)
        found = _antrea_read.read(api, module.params["review"], module.params["page_size"])
        module.exit_json(changed=False, antrea=found)


if __name__ == "__main__":
    main()
