"""The Kubernetes API: get, list and watch through the official client.

This module only reads. Changes are made with kubectl and helmfile, so that every command in the
report can be repeated by hand.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes.client import ApiClient, ApiException
from kubernetes.watch import Watch

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass
from firstlight.tools.kubeconfig import KubeconfigUnusable, connect
from firstlight.tools.objects import Kind, Object
from firstlight.tools.reading import Unreadable, read_json

REQUEST_S = 10.0
"""Time limit of a request; a busy API server on two cores lists all pods in under a second."""

JSON = "application/json"
METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Asks for objects without their content, with only their metadata."""


class ApiUnavailable(FirstlightError):
    """The API server did not answer; it restarts while etcd forms, so a retry may succeed."""

    failure_class = FailureClass.RETRY


class ApiForeign(ApiUnavailable):
    """The certificate is not from the kubeconfig's CA: another cluster, or a recreated one."""


class ApiRefused(FirstlightError):
    """The API server refused the request."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        # The server is overloaded, starting, or its aggregated APIs are: all of these pass.
        if status in (429, 500, 502, 503, 504):
            self.failure_class = FailureClass.RETRY


class Kubernetes:
    """Reads a cluster through a kubeconfig, which need not exist before the first request."""

    def __init__(self, kubeconfig: Path, context: str) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: ApiClient | None = None
        self._stamp: tuple[int, int] = (0, 0)

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Return an object, or None if the object or its kind does not exist.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: The API server refused.
        """
        return self._request(kind.path(namespace, name))

    def list(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        name: str = "",
        metadata_only: bool = False,
    ) -> tuple[list[Object], str]:
        """Return the selected objects of a kind, all by default, and the list's resource version.

        An unknown kind has no objects, and no resource version. Objects may be asked for without
        their content, which the API server then does not send.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: The API server refused.
        """
        answer = self._request(
            kind.path(namespace),
            _selection(labels, name),
            accept=METADATA if metadata_only else JSON,
        )
        if answer is None:
            return [], ""
        return list(answer.get("items") or []), str(
            answer.get("metadata", {}).get("resourceVersion", "")
        )

    def ready(self) -> str:
        """Return the answer of `/readyz`, `ok` if the API server is ready.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: The API server refused.
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
        """Block until a selected object changes after that version, for `longest_s` at most.

        If the API server no longer knows the version (410), there have been changes since.

        Raises:
            ApiUnavailable: The API server did not answer, or no longer knows the kind.
            ApiRefused: The API server refused.
        """
        path, selection = kind.path(namespace), _selection(labels, name)

        def request(
            *, watch: bool, resource_version: str, timeout_seconds: int, **_: object
        ) -> _Bounded:
            query = {
                "watch": str(int(watch)),
                "resourceVersion": resource_version,
                "timeoutSeconds": str(timeout_seconds),
                **selection,
            }
            return _Bounded(self._open(path, query, timeout_s=longest_s), longest_s)

        watch: Any = Watch()  # type: ignore[no-untyped-call]
        events = watch.stream(
            request, resource_version=resource_version, timeout_seconds=max(1, int(longest_s))
        )
        try:
            next(events, None)
        except ApiRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise ApiUnavailable(error.message) from error
            if error.status != HTTPStatus.GONE:
                raise
        except urllib3.exceptions.ReadTimeoutError:
            # Nothing changed in time.
            return
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnavailable(f"cannot watch {path}: {_first_line(error)}") from error
        except (ApiException, ValueError, LookupError, TypeError):
            # An error event, such as 410, or one that cannot be read: list again.
            return
        finally:
            events.close()

    @contextmanager
    def port_forward(self, namespace: str, pod: str, port: int) -> Iterator[socket.socket]:
        """Connect to a port of a pod through the API server.

        Raises:
            ApiUnavailable: The API server or the kubelet does not establish the connection.
        """
        # This import takes half a second, and most stages do not need it.
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

    def _request(
        self, path: str, query: dict[str, str] | None = None, *, accept: str = JSON
    ) -> Object | None:
        try:
            response = self._open(path, query or {}, timeout_s=REQUEST_S, accept=accept)
        except ApiRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        try:
            answer = read_json(_body(path, response).decode(errors="replace"), path)
        except Unreadable as error:
            # Something other than an API server answers, or the answer was cut off.
            raise ApiUnavailable(error.message) from error
        if not isinstance(answer, dict):
            raise ApiUnavailable(f"cannot read {path}: the answer is not an object")
        return answer

    def _open(
        self, path: str, query: dict[str, str], *, timeout_s: float, accept: str = JSON
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and return the response with its body still unread."""
        client = self._connect()
        method, url, headers, *_ = client.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept},
            auth_settings=["BearerToken"],
        )
        try:
            response: urllib3.BaseHTTPResponse = client.call_api(
                method, url, header_params=headers, _request_timeout=(REQUEST_S, timeout_s)
            ).response
        except ApiException as error:
            # The client wraps TLS errors in an ApiException without a status.
            raise _unavailable(path, " ".join(str(error.reason).split())) from error
        except urllib3.exceptions.HTTPError as error:
            raise _unavailable(path, _first_line(error)) from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiRefused(
                f"cannot read {path}: the API server said {response.status} "
                f"{_why_refused(response)}",
                status=response.status,
            )
        return response

    def _connect(self) -> ApiClient:
        """Return a client for the kubeconfig on disk, which a run creates and may replace."""
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


class _Bounded:
    """A response whose stream ends at a deadline, however slowly its bytes arrive.

    The client's time limit starts again with every read, and its Watch waits for the end of a line.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, longest_s: float) -> None:
        self._response = response
        self._deadline = time.monotonic() + longest_s
        self.status = response.status
        self.close = response.close
        self.release_conn = response.release_conn

    def stream(self, amt: int | None, *, decode_content: bool) -> Iterator[bytes]:
        """Yield what arrives before the deadline."""
        for segment in self._response.stream(amt, decode_content=decode_content):
            yield segment
            if time.monotonic() >= self._deadline:
                return


def _selection(labels: str, name: str) -> dict[str, str]:
    """Return the query parameters for a label selector and a name."""
    query = {"labelSelector": labels} if labels else {}
    return {**query, "fieldSelector": f"metadata.name={name}"} if name else query


def _why_refused(response: urllib3.BaseHTTPResponse) -> str:
    """Return the API server's message for a refusal, or the HTTP reason if it has none."""
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
    """Read a response to its end; a connection that breaks in the middle counts as no answer."""
    try:
        return response.data
    except urllib3.exceptions.HTTPError as error:
        raise ApiUnavailable(f"cannot read {path}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    lines = str(reason).splitlines()
    text = lines[0] if lines else type(error).__name__
    return text.split(": ", 1)[-1] if text.startswith("<urllib3") else text
