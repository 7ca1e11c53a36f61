"""The Kubernetes API through the official client's transport: get, list and watch, by path.

Readiness is watched here; changes go through kubectl and helmfile alone, so that what the report shows can be run by hand.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import config as kubernetes_config
from kubernetes.client import ApiClient, ApiException, Configuration, CoreV1Api
from kubernetes.stream import portforward

from firstlight.errors import FirstlightError
from firstlight.tools.reading import Unreadable, read_json

REQUEST_S = 10.0
"""One request; a busy API server on two cores answers a list of all pods in well under a second."""

Object = dict[str, Any]

_NO_KUBECONFIG = (yaml.YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError)
"""What the official client lets through when a kubeconfig is none."""


class ApiUnavailable(FirstlightError):
    """The API server did not answer; control plane pods restart while etcd forms, so the same request may succeed later."""

    retryable = True


class ApiForeign(ApiUnavailable):
    """Something answered, and its certificate is of another authority than the kubeconfig's: perhaps another cluster, or the same made anew."""


class ApiRefused(FirstlightError):
    """The API server answered, and said no."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        # The server is overloaded, starting, or its aggregated APIs are: all of these pass.
        self.retryable = status in (429, 500, 502, 503, 504)


class KubeconfigUnusable(FirstlightError):
    """There is a kubeconfig, and the cluster cannot be reached by it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, by the path under which the API server keeps it."""

    group_version: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of the collection, or of one object."""
        base = f"/api/{self.group_version}" if "/" not in self.group_version else f"/apis/{self.group_version}"
        parts = [base]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)


NODES = Kind("v1", "nodes")
PODS = Kind("v1", "pods")
SECRETS = Kind("v1", "secrets")
CONFIG_MAPS = Kind("v1", "configmaps")
NAMESPACES = Kind("v1", "namespaces")
DAEMON_SETS = Kind("apps/v1", "daemonsets")
DEPLOYMENTS = Kind("apps/v1", "deployments")
REPLICA_SETS = Kind("apps/v1", "replicasets")
CONTROLLER_REVISIONS = Kind("apps/v1", "controllerrevisions")
CRDS = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions")
GIT_REPOSITORIES = Kind("source.toolkit.fluxcd.io/v1", "gitrepositories")
KUSTOMIZATIONS = Kind("kustomize.toolkit.fluxcd.io/v1", "kustomizations")
HELM_RELEASES = Kind("helm.toolkit.fluxcd.io/v2", "helmreleases")


class Kubernetes:
    """Read one cluster through one kubeconfig, which need not exist before the first request."""

    def __init__(self, kubeconfig: Path, context: str) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: ApiClient | None = None
        self._stamp: tuple[int, int] = (0, 0)

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Return one object, or none when there is no such object or kind.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: It said no.
        """
        return self._request(kind.path(namespace, name))

    def list(self, kind: Kind, *, namespace: str = "", labels: str = "", name: str = "") -> tuple[list[Object], str]:
        """Return the objects of a kind, or those alone that are selected, and the resource version of the list; an unknown kind has none.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: It said no.
        """
        answer = self._request(kind.path(namespace), _selection(labels, name))
        if answer is None:
            return [], ""
        return list(answer.get("items") or []), str(answer.get("metadata", {}).get("resourceVersion", ""))

    def ready(self) -> str:
        """Return what `/readyz` says, `ok` when all is well.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: It said no.
        """
        return _body("/readyz", self._open("/readyz", {}, timeout_s=REQUEST_S)).decode(errors="replace")

    def await_change(self, kind: Kind, resource_version: str, longest_s: float, *, namespace: str = "", labels: str = "", name: str = "") -> None:
        """Block until one of the selected objects changes after that version, or for so many seconds.

        A version that the API server no longer remembers (410) has been followed by changes, so that is one.

        Raises:
            ApiUnavailable: The API server did not answer, or no longer knows the kind.
            ApiRefused: It said no.
        """
        query = {"watch": "1", "resourceVersion": resource_version, "timeoutSeconds": str(max(1, int(longest_s))), **_selection(labels, name)}
        try:
            for _ in self._watch(kind.path(namespace), query, longest_s):
                return
        except ApiRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise ApiUnavailable(error.message) from error
            if error.status != HTTPStatus.GONE:
                raise

    @contextmanager
    def port_forward(self, namespace: str, pod: str, port: int) -> Iterator[socket.socket]:
        """Connect to a port of a pod through the API server.

        Raises:
            ApiUnavailable: The API server, or the node's kubelet, does not connect us.
        """
        try:
            forward = portforward(CoreV1Api(self._connect()).connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
        except (ApiException, OSError) as error:
            raise ApiUnavailable(f"cannot connect to port {port} of {namespace}/{pod}: {error}") from error
        try:
            yield forward.socket(port)
        finally:
            forward.close()

    def _watch(self, path: str, query: dict[str, str], longest_s: float) -> Iterator[bytes]:
        response = self._open(path, query, timeout_s=longest_s)
        try:
            yield from response.stream(amt=None)
        except urllib3.exceptions.ReadTimeoutError:
            # Nothing changed for so long: that is an answer.
            return
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnavailable(f"cannot watch {path}: {_first_line(error)}") from error
        finally:
            response.close()

    def _request(self, path: str, query: dict[str, str] | None = None) -> Object | None:
        try:
            response = self._open(path, query or {}, timeout_s=REQUEST_S)
        except ApiRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        try:
            answer = read_json(_body(path, response).decode(errors="replace"), path)
        except Unreadable as error:
            # Something else than an API server answers there, or its answer was cut off.
            raise ApiUnavailable(error.message) from error
        if not isinstance(answer, dict):
            raise ApiUnavailable(f"cannot read {path}: the answer is no object")
        return answer

    def _open(self, path: str, query: dict[str, str], *, timeout_s: float) -> urllib3.BaseHTTPResponse:
        """Send a request and return the response, its body not read yet."""
        client = self._connect()
        method, url, headers, *_ = client.param_serialize(
            "GET", path, query_params=list(query.items()), header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        try:
            response: urllib3.BaseHTTPResponse = client.call_api(method, url, header_params=headers, _request_timeout=(REQUEST_S, timeout_s)).response
        except ApiException as error:
            # The client turns TLS errors into its own kind, without a status.
            raise _unavailable(path, " ".join(str(error.reason).split())) from error
        except urllib3.exceptions.HTTPError as error:
            raise _unavailable(path, _first_line(error)) from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiRefused(f"cannot read {path}: the API server said {response.status} {_why_refused(response)}", status=response.status)
        return response

    def _connect(self) -> ApiClient:
        """Return a client for the kubeconfig as it is on disk now: it is made, and may be replaced, during a run."""
        try:
            status = self._kubeconfig.stat()
        except FileNotFoundError:
            raise ApiUnavailable(f"cannot reach the cluster: there is no kubeconfig at {self._kubeconfig} yet") from None
        except OSError as error:
            raise KubeconfigUnusable(f"cannot use the kubeconfig {self._kubeconfig}: {error.strerror}") from error
        stamp = (status.st_mtime_ns, status.st_ino)
        if self._client is None or stamp != self._stamp:
            configuration = Configuration()
            configuration.retries = 0
            try:
                kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                    str(self._kubeconfig), context=self._context, client_configuration=configuration
                )
            except (kubernetes_config.ConfigException, *_NO_KUBECONFIG) as error:
                # PyYAML quotes what it cannot read, and the file holds the admin's key.
                seen = _first_line(error) if isinstance(error, kubernetes_config.ConfigException) else f"it is no kubeconfig ({type(error).__name__})"
                raise KubeconfigUnusable(
                    f"cannot use the kubeconfig {self._kubeconfig}: {seen}", next_step="remove it; `./task talos:kubeconfig` makes it anew"
                ) from None
            self._client = ApiClient(configuration)
            self._stamp = stamp
        return self._client


class View:
    """Objects of one kind, and a way to sleep until they are no longer as they were last seen."""

    def __init__(self, kubernetes: Kubernetes, kind: Kind, *, namespace: str = "") -> None:
        self._kubernetes = kubernetes
        self._kind = kind
        self._namespace = namespace
        self._seen: tuple[str, str, str] = ("", "", "")
        """Version, labels and name of the last look; without a version there was none."""

    def items(self, *, labels: str = "", name: str = "") -> list[Object]:
        """Return the objects as they are now.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: It said no.
        """
        self._seen = ("", "", "")
        items, version = self._kubernetes.list(self._kind, namespace=self._namespace, labels=labels, name=name)
        self._seen = (version, labels, name)
        return items

    def named(self, name: str) -> Object | None:
        """Return the object of that name, or none; no other one is asked for, as a list of all CRDs takes megabytes."""
        return next((item for item in self.items(name=name) if name_of(item) == name), None)

    def changed(self, longest_s: float) -> None:
        """Block until something that was looked at changes after the last look, or for so many seconds.

        Raises:
            ApiUnavailable: The API server did not answer, or does not know the kind yet.
            ApiRefused: It said no.
        """
        (version, labels, name), self._seen = self._seen, ("", "", "")
        if not version:
            # The last look failed, or the kind is not known yet: there is nothing to watch from.
            raise ApiUnavailable(f"cannot watch {self._kind.plural}: the API server does not list them yet")
        self._kubernetes.await_change(self._kind, version, longest_s, namespace=self._namespace, labels=labels, name=name)


def condition_of(item: Object, type_: str) -> Object:
    """Return a status condition of an object, empty when it has none of that type."""
    conditions: Sequence[Object] = (item.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == type_), {})


def name_of(item: Object) -> str:
    """Return an object's name."""
    return str(item["metadata"]["name"])


def _selection(labels: str, name: str) -> dict[str, str]:
    """Return the query that selects objects by their labels and by their name."""
    query = {"labelSelector": labels} if labels else {}
    return {**query, "fieldSelector": f"metadata.name={name}"} if name else query


def _why_refused(response: urllib3.BaseHTTPResponse) -> str:
    """Return the API server's own words for a refusal, or HTTP's when it has none."""
    try:
        said = read_json(response.data.decode(errors="replace"), "the refusal")
    except (Unreadable, urllib3.exceptions.HTTPError):
        said = None
    words = said.get("message") if isinstance(said, dict) else None
    return f"{response.reason}: {str(words)[:240]}" if words else str(response.reason)


def _unavailable(path: str, reason: str) -> ApiUnavailable:
    kind = ApiForeign if "CERTIFICATE_VERIFY_FAILED" in reason else ApiUnavailable
    return kind(f"cannot read {path}: {reason}")


def _body(path: str, response: urllib3.BaseHTTPResponse) -> bytes:
    """Read a response to its end; a connection that breaks half-way is no answer."""
    try:
        return response.data
    except urllib3.exceptions.HTTPError as error:
        raise ApiUnavailable(f"cannot read {path}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    lines = str(reason).splitlines()
    text = lines[0] if lines else type(error).__name__
    return text.split(": ", 1)[-1] if text.startswith("<urllib3") else text
