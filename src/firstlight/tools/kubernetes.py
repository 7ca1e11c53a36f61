"""The Kubernetes API through the official client's transport: get, list and watch, by path.

Readiness is watched here; changes go through kubectl and helmfile alone, so that what the report shows can be run by hand.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import urllib3
from kubernetes.client import ApiClient, ApiException

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass
from firstlight.tools.kubeclient import KubeconfigUnusable, connect
from firstlight.tools.objects import Kind, Object
from firstlight.tools.reading import Unreadable, read_json

REQUEST_S = 10.0
"""One request; a busy API server on two cores answers a list of all pods in well under a second."""


class ApiUnavailable(FirstlightError):
    """The API server did not answer; control plane pods restart while etcd forms, so the same request may succeed later."""

    failure_class = FailureClass.RETRY


class ApiForeign(ApiUnavailable):
    """Something answered, and its certificate is of another authority than the kubeconfig's: perhaps another cluster, or the same made anew."""


class ApiRefused(FirstlightError):
    """The API server answered, and said no."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        # The server is overloaded, starting, or its aggregated APIs are: all of these pass.
        if status in (429, 500, 502, 503, 504):
            self.failure_class = FailureClass.RETRY


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

    def list(
        self, kind: Kind, *, namespace: str = "", labels: str = "", name: str = ""
    ) -> tuple[list[Object], str]:
        """Return the objects of a kind, or those alone that are selected, and the resource version of the list; an unknown kind has none.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: It said no.
        """
        answer = self._request(kind.path(namespace), _selection(labels, name))
        if answer is None:
            return [], ""
        return list(answer.get("items") or []), str(
            answer.get("metadata", {}).get("resourceVersion", "")
        )

    def ready(self) -> str:
        """Return what `/readyz` says, `ok` when all is well.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: It said no.
        """
        return _body("/readyz", self._open("/readyz", {}, timeout_s=REQUEST_S)).decode(
            errors="replace"
        )

    def await_change(
        self,
        kind: Kind,
        resource_version: str,
        longest_s: float,
        *,
        namespace: str = "",
        labels: str = "",
        name: str = "",
    ) -> None:
        """Block until one of the selected objects changes after that version, or for so many seconds.

        A version that the API server no longer remembers (410) has been followed by changes, so that is one.

        Raises:
            ApiUnavailable: The API server did not answer, or no longer knows the kind.
            ApiRefused: It said no.
        """
        query = {
            "watch": "1",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(longest_s))),
            **_selection(labels, name),
        }
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
        # To import this takes half a second, and most stages connect to no pod.
        from kubernetes.client import CoreV1Api
        from kubernetes.stream import portforward

        try:
            forward = portforward(
                CoreV1Api(self._connect()).connect_get_namespaced_pod_portforward,
                pod,
                namespace,
                ports=str(port),
            )
        except (ApiException, OSError) as error:
            raise ApiUnavailable(
                f"cannot connect to port {port} of {namespace}/{pod}: {error}"
            ) from error
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

    def _open(
        self, path: str, query: dict[str, str], *, timeout_s: float
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the response, its body not read yet."""
        client = self._connect()
        method, url, headers, *_ = client.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            response: urllib3.BaseHTTPResponse = client.call_api(
                method, url, header_params=headers, _request_timeout=(REQUEST_S, timeout_s)
            ).response
        except ApiException as error:
            # The client turns TLS errors into its own kind, without a status.
            raise _unavailable(path, " ".join(str(error.reason).split())) from error
        except urllib3.exceptions.HTTPError as error:
            raise _unavailable(path, _first_line(error)) from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiRefused(
                f"cannot read {path}: the API server said {response.status} {_why_refused(response)}",
                status=response.status,
            )
        return response

    def _connect(self) -> ApiClient:
        """Return a client for the kubeconfig as it is on disk now: it is made, and may be replaced, during a run."""
        try:
            status = self._kubeconfig.stat()
        except FileNotFoundError:
            raise ApiUnavailable(
                f"cannot reach the cluster: there is no kubeconfig at {self._kubeconfig} yet",
                row="FL-243",
            ) from None
        except OSError as error:
            raise KubeconfigUnusable(self._kubeconfig, str(error.strerror)) from error
        stamp = (status.st_mtime_ns, status.st_ino)
        if self._client is None or stamp != self._stamp:
            self._client = connect(self._kubeconfig, self._context)
            self._stamp = stamp
        return self._client


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
