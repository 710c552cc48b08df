# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection to a Kubernetes API server, by plain requests.

The kubernetes package is used for what it does well: kubeconfig files with their contexts,
certificates, exec plugins and token refresh. Requests go to URLs directly, since discovery alone
would cost dozens of requests per run.

Every failure is a `ClusterError` whose text says what, where and the remedy, and holds no secret:
neither tokens nor lines of a kubeconfig (parsers like to quote them) are repeated.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import traceback
import warnings
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.parameters import env_fallback
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import (
    ClusterError,
    short,
    status_error,
)

__all__ = ["AUTH_ARGUMENT_SPEC", "Api", "ClusterError", "connect", "reachable"]

try:
    import kubernetes.client
    import kubernetes.client.rest
    import kubernetes.config
    import urllib3
    import yaml

    IMPORT_ERROR: str | None = None
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

_DEFAULT_KUBECONFIG = "~/.kube/config"
_RETRIED = (429, 500, 502, 503, 504)

AUTH_ARGUMENT_SPEC: dict[str, Any] = {
    "kubeconfig": {
        "type": "path",
        "fallback": (env_fallback, ["K8S_AUTH_KUBECONFIG"]),
    },
    "context": {"type": "str", "fallback": (env_fallback, ["K8S_AUTH_CONTEXT"])},
    "host": {"type": "str", "fallback": (env_fallback, ["K8S_AUTH_HOST"])},
    "api_key": {
        "type": "str",
        "no_log": True,
        "fallback": (env_fallback, ["K8S_AUTH_API_KEY"]),
    },
    "ca_cert": {
        "type": "path",
        "aliases": ["ssl_ca_cert"],
        "fallback": (env_fallback, ["K8S_AUTH_SSL_CA_CERT"]),
    },
    "validate_certs": {
        "type": "bool",
        "aliases": ["verify_ssl"],
        "fallback": (env_fallback, ["K8S_AUTH_VERIFY_SSL"]),
    },
    "timeout": {"type": "int", "default": 30},
}


class Api:
    """Requests to one API server; counts them in ``requests``, retries included."""

    def __init__(self, configuration: Any, source: str, context: str | None, timeout: int) -> None:
        self._configuration = configuration
        self._timeout = timeout
        self._pool = kubernetes.client.rest.RESTClientObject(configuration).pool_manager
        self.source = source
        self.context = context
        self.server = re.sub(r"//[^/@]*@", "//", str(configuration.host)).rstrip("/")
        self.requests = 0
        self._answered: datetime | None = None

    def now(self) -> datetime:
        """Return the server's time at its last answer; the controller's if it does not tell.

        What is read from objects is of the cluster's clocks, and the controller's may be off.
        """
        return self._answered or datetime.now(timezone.utc)

    def get(self, path: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the object at ``path``. Raises `ClusterError`."""
        return self.request("GET", path, query)

    def request(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        question: bool = False,
    ) -> dict[str, Any]:
        """Send one request and return the decoded answer. Raises `ClusterError`.

        Reads are tried again on 429, 5xx and broken connections, after the server's Retry-After;
        writes never, since a lost answer does not tell whether the write happened. ``question``: a
        POST that stores nothing, such as an access review, which is tried again as reads are.
        """
        url = self.server + path + ("?" + urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            headers = self._headers(content_type if data is not None else None)
            response = self._send(method, url, data, headers, question or method == "GET")
        except urllib3.exceptions.HTTPError as error:
            self.requests += 1
            raise self._transport_error(error) from None
        self.requests += 1 + len(getattr(response.retries, "history", None) or ())
        self._answered = _date(response.headers.get("Date"))
        return self._decode(method, path, response)

    def _headers(self, content_type: str | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "k8snet.cni"}
        for auth in self._configuration.auth_settings().values():
            if auth.get("in") == "header" and auth.get("value"):
                headers[auth["key"]] = auth["value"]
        if content_type:
            headers["Content-Type"] = content_type
        return headers

    def _send(
        self, method: str, url: str, data: bytes | None, headers: dict[str, str], again: bool
    ) -> Any:
        retries: Any = False
        if again:
            retries = urllib3.Retry(
                total=3,
                connect=1,
                read=2,
                redirect=0,
                other=0,
                backoff_factor=0.3,
                allowed_methods=None,
                status_forcelist=_RETRIED,
                raise_on_status=False,
            )
        with warnings.catch_warnings():
            if not self._configuration.verify_ssl:
                # Asked for by the user; urllib3 would repeat the warning at every request.
                warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
            return self._pool.request(
                method,
                url,
                body=data,
                headers=headers,
                retries=retries,
                timeout=urllib3.Timeout(connect=min(10, self._timeout), read=self._timeout),
            )

    def _decode(self, method: str, path: str, response: Any) -> dict[str, Any]:
        try:
            answer = json.loads(response.data)
        except ValueError:
            answer = None
        if response.status >= 400:
            detail = answer.get("message") if isinstance(answer, dict) else None
            error = status_error(method, path, self.server, response.status, detail)
            wait = str(response.headers.get("Retry-After") or "")
            error.retry_after = float(wait) if wait.isdigit() else None
            raise error
        if not isinstance(answer, dict):
            raise ClusterError(
                "http",
                f"Failed to read {path} from {self.server}: the answer is not JSON. Does the URL "
                "lead to a Kubernetes API server, and not to a proxy's login page?",
                response.status,
            )
        return answer

    def _transport_error(self, error: Exception) -> ClusterError:
        reason = getattr(error, "reason", None) or error
        if "SSL" in type(reason).__name__ or "certificate" in str(reason).lower():
            return ClusterError(
                "tls",
                f"Failed to trust the API server {self.server}: {short(reason)}. Give the "
                "cluster's CA with 'ca_cert' or in the kubeconfig, or call the server by a name "
                "that its certificate holds.",
            )
        return ClusterError(
            "unreachable",
            f"Failed to reach the API server {self.server}: {short(reason)}. Check the address in "
            "the kubeconfig, routes and firewalls between this controller and the server.",
        )


def _date(header: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(header or "")
    except (TypeError, ValueError):  # the former before Python 3.10
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def connect(params: dict[str, Any]) -> Api:
    """Return an `Api` for ``params`` (the options of `AUTH_ARGUMENT_SPEC`). No request is sent.

    Order: ``host``; ``kubeconfig`` or ``context``; the variable KUBECONFIG; ~/.kube/config; the
    service account of the pod this runs in. Raises `ClusterError`, kind ``none`` if there is none
    of these at all.
    """
    configuration = kubernetes.client.Configuration()
    if params.get("host"):
        configuration.host = params["host"].rstrip("/")
        source, context = "parameters", None
    else:
        source, context = _load(configuration, params)
    if params.get("api_key"):
        configuration.api_key["authorization"] = "Bearer " + params["api_key"]
        configuration.api_key.pop("BearerToken", None)
        configuration.refresh_api_key_hook = None
    if params.get("ca_cert"):
        configuration.ssl_ca_cert = params["ca_cert"]
    if params.get("validate_certs") is not None:
        configuration.verify_ssl = params["validate_certs"]
    _check_files(configuration)
    return Api(configuration, source, context, int(params.get("timeout") or 30))


def reachable(params: dict[str, Any]) -> Api:
    """Return `connect`'s `Api`. Raises `ClusterError` also where the package is missing."""
    if IMPORT_ERROR:
        what = missing_required_lib("kubernetes", reason="on the controller, to ask a cluster")
        raise ClusterError("config", what)
    return connect(params)


def _check_files(configuration: Any) -> None:
    """Load CA, certificate and key once, since later errors do not say which file is at fault."""
    tls = ssl.create_default_context()
    where = "file"
    try:
        if configuration.ssl_ca_cert:
            where = f"CA {configuration.ssl_ca_cert}"
            tls.load_verify_locations(configuration.ssl_ca_cert)
        if configuration.cert_file:
            where = f"client certificate {configuration.cert_file}"
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise ClusterError(
            "config",
            f"Failed to load the {where}: {'no such file' if missing else 'not usable'}. Check "
            "'ca_cert' and the certificates in the kubeconfig.",
        ) from None


def _load(configuration: Any, params: dict[str, Any]) -> tuple[str, str | None]:
    explicit = params.get("kubeconfig")
    paths = explicit or os.environ.get("KUBECONFIG") or _DEFAULT_KUBECONFIG
    files = [os.path.expanduser(p) for p in str(paths).split(os.pathsep) if p]
    present = [p for p in files if os.path.exists(p)]
    if present:
        return _load_kubeconfig(configuration, present, params.get("context"))
    if explicit or params.get("context") or os.environ.get("KUBECONFIG"):
        raise ClusterError(
            "config",
            f"Failed to read the kubeconfig: no such file: {', '.join(files)}. Set 'kubeconfig' "
            "(in the playbooks k8snet_kubeconfig) to an existing file.",
        )
    try:
        loader: Any = kubernetes.config
        loader.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException:
        raise ClusterError(
            "none",
            f"No cluster access is configured: there is no {files[0] if files else 'kubeconfig'}, "
            "KUBECONFIG is not set, and this is not a pod. Set 'kubeconfig' (in the playbooks "
            "k8snet_kubeconfig), or 'host' and 'api_key'.",
        ) from None
    return "in-cluster", None


def _load_kubeconfig(
    configuration: Any, files: list[str], context: str | None
) -> tuple[str, str | None]:
    where = os.pathsep.join(files)
    documents = [_parse_kubeconfig(path) for path in files]
    contexts = _entries(documents, "contexts")
    current = [d["current-context"] for d in documents if d.get("current-context")]
    chosen = context or (current[-1] if current else None)
    if not chosen:
        raise ClusterError(
            "config",
            f"Failed to choose a context in {where}: it has no current-context. Set 'context' (in "
            f"the playbooks k8snet_context) to one of: {', '.join(contexts) or '(none defined)'}.",
        )
    if chosen not in contexts:
        raise ClusterError(
            "config",
            f"Failed to find context {chosen} in {where}: it has "
            f"{', '.join(contexts) or 'no contexts'}. Set 'context' (in the playbooks "
            "k8snet_context) to one of these.",
        )
    for part in ("cluster", "user"):
        name = (contexts[chosen].get("context") or {}).get(part)
        if name not in _entries(documents, part + "s"):
            raise ClusterError(
                "config",
                f"Failed to use context {chosen} of {where}: it names the {part} {name}, which is "
                "not defined there. Repair the kubeconfig.",
            )
    try:
        loader: Any = kubernetes.config
        loader.load_kube_config(
            config_file=where,
            context=chosen,
            client_configuration=configuration,
            persist_config=False,
        )
    except Exception as error:
        raise ClusterError(
            "config",
            f"Failed to use context {chosen} of {where}: {_kubeconfig_reason(error)}. Compare with "
            f"`kubectl --context {chosen} config view --minify`.",
        ) from None
    _check_credentials(configuration, where, documents, contexts[chosen])
    return where, chosen


def _check_credentials(
    configuration: Any, where: str, documents: list[dict[str, Any]], context: dict[str, Any]
) -> None:
    """Refuse to go on as system:anonymous because a user's log-in program failed.

    The kubernetes package only logs that; the server's answer would blame RBAC.
    """
    name = context["context"]["user"]
    user = _entries(documents, "users")[name].get("user") or {}
    how = next((key for key in ("exec", "auth-provider") if user.get(key)), None)
    if how is None or configuration.api_key or configuration.cert_file:
        return
    program = user[how].get("command") or user[how].get("name")
    raise ClusterError(
        "config",
        f"Failed to log in as user {name} of {where}: its log-in program ({how}: {program}) gave "
        "no credentials. Run it by hand as the user who runs Ansible: mostly its own session has "
        "expired, or it is not installed.",
    )


def _entries(documents: list[dict[str, Any]], section: str) -> dict[str, dict[str, Any]]:
    """Return name -> entry of a section over all files; the first of one name counts."""
    found: dict[str, dict[str, Any]] = {}
    for document in documents:
        for entry in document.get(section) or ():
            if isinstance(entry, dict):
                found.setdefault(str(entry.get("name")), entry)
    return found


def _parse_kubeconfig(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            document = yaml.safe_load(stream)
    except OSError as error:
        raise ClusterError(
            "config",
            f"Failed to read the kubeconfig {path}: {error.strerror}. Make it readable for the "
            "user who runs Ansible.",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise ClusterError(
            "config", f"Failed to parse the kubeconfig {path}: not valid YAML{line}. Repair it."
        ) from None
    if not isinstance(document, dict):
        raise ClusterError(
            "config",
            f"Failed to parse the kubeconfig {path}: it is empty or not a mapping. Repair it.",
        )
    return document


def _kubeconfig_reason(error: Exception) -> str:
    """Return why the kubernetes package refused, for the errors known to quote no secret."""
    if isinstance(error, kubernetes.config.ConfigException):
        return str(error).rstrip(". ")
    return f"{type(error).__name__} (details are withheld, they may quote credentials)"
