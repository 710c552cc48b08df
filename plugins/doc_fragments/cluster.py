# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module finds and trusts the cluster's API server."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, or several joined by C(:).
      - Without this option, O(context) and O(host), the environment variable E(KUBECONFIG), then
        C(~/.kube/config), then the service account of the pod in which Ansible runs is used.
      - Can also be given by the environment variable E(K8S_AUTH_KUBECONFIG).
    type: path
  context:
    description:
      - Name of the context in the kubeconfig; by default its C(current-context).
      - Can also be given by the environment variable E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server. If given, no kubeconfig is read.
      - Can also be given by the environment variable E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token. It takes the place of the kubeconfig's credentials.
      - Can also be given by the environment variable E(K8S_AUTH_API_KEY).
    type: str
  ca_cert:
    description:
      - Path of the CA certificate by which the server is trusted.
      - Can also be given by the environment variable E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether the server's certificate is verified; by default as the kubeconfig says, else yes.
      - Can also be given by the environment variable E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  timeout:
    description: Seconds to wait for an answer to one request.
    type: int
    default: 30
requirements:
  - kubernetes >= 24.2.0 (Python package, on the controller)
"""
