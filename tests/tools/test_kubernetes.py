"""The Kubernetes API is read through a real socket, with failures and watches."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firstlight.run.retry import is_retried
from firstlight.tools.kubeconfig import KubeconfigUnusable
from firstlight.tools.kubernetes import ApiForeign, ApiRefused, ApiUnavailable, Kubernetes
from firstlight.tools.objects import CRDS, NODES, PODS
from firstlight.tools.watch import ListWatch
from tests.tools.apiserver import (
    ApiServer,
    broken,
    dripping,
    ended,
    event,
    mute,
    raw,
    refusal,
    serving,
    silent,
    write_kubeconfig,
)

CONTEXT = "admin@infra"


def thing(name: str, namespace: str = "", **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    return {"metadata": {**metadata, "namespace": namespace} if namespace else metadata}


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def kubernetes(api: ApiServer, tmp_path: Path) -> Kubernetes:
    return Kubernetes(write_kubeconfig(tmp_path / "kubeconfig", api.url), CONTEXT)


def test_existing_objects_are_read(api: ApiServer, kubernetes: Kubernetes):
    api.hold(PODS, thing("a", "x"), thing("b", "y"))

    assert [item["metadata"]["name"] for item in kubernetes.list(PODS)[0]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in kubernetes.list(PODS, namespace="y")[0]] == ["b"]
    assert kubernetes.get(PODS, "x", "a") == thing("a", "x")
    assert kubernetes.ready() == "ok"


def test_a_missing_object_is_none_and_an_unknown_kind_has_no_objects(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(PODS)

    assert kubernetes.get(PODS, "x", "a") is None
    assert kubernetes.list(CRDS) == ([], "")


@pytest.mark.parametrize(
    ("code", "retried"),
    [(401, False), (403, False), (409, False), (429, True), (500, True), (503, True), (504, True)],
)
def test_a_refusal_has_the_servers_message_and_its_class(
    api: ApiServer, kubernetes: Kubernetes, code: int, retried: bool
):
    api.special["/api/v1/nodes"] = refusal(code, "the node is made of cheese", Retry_After="30")

    started = time.monotonic()
    with pytest.raises(
        ApiRefused,
        match=rf"cannot read /api/v1/nodes: the API server said {code} .*: the node is made of cheese",  # noqa: E501
    ) as caught:
        kubernetes.list(NODES)

    assert (caught.value.status, is_retried(caught.value)) == (code, retried)
    # The client itself must never wait; the waiting loop does, and reports it.
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b'{"items": [', b"[]", b"\xff\xfe", b'"text"'],
    ids=["html", "empty", "cut off", "list", "bytes", "text"],
)
def test_an_answer_of_another_server_does_not_count(
    api: ApiServer, kubernetes: Kubernetes, body: bytes
):
    api.special["/api/v1/nodes"] = raw(body)

    with pytest.raises(ApiUnavailable, match="cannot read /api/v1/nodes: ") as caught:
        kubernetes.list(NODES)

    assert is_retried(caught.value)


def test_a_truncated_answer_does_not_count(api: ApiServer, kubernetes: Kubernetes):
    api.special["/api/v1/nodes"] = broken

    with pytest.raises(ApiUnavailable, match="cannot read /api/v1/nodes: "):
        kubernetes.list(NODES)


def test_a_server_that_never_answers_times_out(
    api: ApiServer, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firstlight.tools.kubernetes.REQUEST_S", 0.1)
    api.special["/api/v1/nodes"] = mute

    with pytest.raises(ApiUnavailable, match=r"cannot read /api/v1/nodes: .*timed out"):
        kubernetes.list(NODES)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A proxy that every variable names, and that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for variable in (name, name.lower()):
                monkeypatch.setenv(variable, f"http://127.0.0.1:{server.getsockname()[1]}")
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(variable, raising=False)
        yield server


def test_the_cluster_is_asked_without_the_proxy_of_the_environment(
    proxy: socket.socket, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firstlight.tools.kubernetes.REQUEST_S", 2.0)

    assert kubernetes.ready() == "ok"
    with pytest.raises(BlockingIOError):
        proxy.accept()


def test_a_proxy_that_the_kubeconfig_names_is_used(
    proxy: socket.socket, api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firstlight.tools.kubernetes.REQUEST_S", 0.2)
    path = write_kubeconfig(tmp_path / "kubeconfig", api.url)
    content = yaml.safe_load(path.read_text())
    content["clusters"][0]["cluster"]["proxy-url"] = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    path.write_text(yaml.safe_dump(content))

    with pytest.raises(ApiUnavailable):
        Kubernetes(path, CONTEXT).ready()

    connection, _ = proxy.accept()
    with connection:
        assert connection.recv(100).startswith(f"GET {api.url}/readyz".encode())


def test_a_refused_connection_is_no_answer(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    kubernetes = Kubernetes(
        write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{port}"), CONTEXT
    )

    with pytest.raises(ApiUnavailable, match="Connection refused") as caught:
        kubernetes.ready()

    assert is_retried(caught.value)


def test_a_kubeconfig_may_be_created_later(api: ApiServer, tmp_path: Path):
    path = tmp_path / "kubeconfig"
    kubernetes = Kubernetes(path, CONTEXT)

    with pytest.raises(ApiUnavailable, match=f"there is no kubeconfig at {path} yet") as caught:
        kubernetes.ready()
    write_kubeconfig(path, api.url)

    assert is_retried(caught.value)
    assert kubernetes.ready() == "ok"


def test_a_replaced_kubeconfig_is_read_again(
    api: ApiServer, kubernetes: Kubernetes, tmp_path: Path
):
    assert kubernetes.ready() == "ok"
    with serving() as other:
        other.special["/readyz"] = raw(b"other", "text/plain")
        write_kubeconfig(tmp_path / "new", other.url).replace(tmp_path / "kubeconfig")

        assert kubernetes.ready() == "other"


UNUSABLE = {
    "another context": lambda path: write_kubeconfig(
        path, "http://127.0.0.1:1", context="admin@other"
    ),
    "no YAML": lambda path: path.write_text("key: hunter2: hunter2: {"),
    "empty": lambda path: path.write_text(""),
    "a list": lambda path: path.write_text("- hunter2"),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe hunter2"),
    "no cluster": lambda path: path.write_text(
        f"contexts: [{{name: {CONTEXT}, context: {{cluster: x, user: hunter2}}}}]\ncurrent-context: {CONTEXT}\n"  # noqa: E501
    ),
    "bad base64": lambda path: write_kubeconfig(
        path, "https://127.0.0.1:1", **{"certificate-authority-data": "hunter2"}
    ),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_an_unusable_kubeconfig_is_fatal_and_never_quoted(tmp_path: Path, how: str):
    path = tmp_path / "kubeconfig"
    UNUSABLE[how](path)

    with pytest.raises(KubeconfigUnusable, match=f"cannot use the kubeconfig {path}: ") as caught:
        Kubernetes(path, CONTEXT).ready()

    assert not is_retried(caught.value)
    assert "hunter2" not in str(caught.value)


def authority(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Create a self-signed server certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now - dt.timedelta(hours=1),
        now + dt.timedelta(hours=1),
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
        critical=False,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    ).sign(key, hashes.SHA256())
    pem, key_pem = folder / f"{name}.crt", folder / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_pem)
    return pem, context


def test_another_clusters_certificate_differs_from_a_server_that_is_down(tmp_path: Path):
    pem, context = authority(tmp_path, "ours")
    foreign, _ = authority(tmp_path, "theirs")
    with serving(context) as api:
        ours, theirs = (
            Kubernetes(
                write_kubeconfig(
                    tmp_path / f"{path.stem}.kubeconfig",
                    api.url,
                    **{"certificate-authority-data": base64.b64encode(path.read_bytes()).decode()},
                ),
                CONTEXT,
            )
            for path in (pem, foreign)
        )

        assert ours.ready() == "ok"
        with pytest.raises(ApiForeign, match="CERTIFICATE_VERIFY_FAILED"):
            theirs.ready()


def test_the_admins_key_is_used_and_written_to_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The official client writes it to a temporary file, which a killed run leaves behind."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    pem, context = authority(tmp_path, "ours")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pem)
    encoded = {
        name: base64.b64encode((tmp_path / name).read_bytes()).decode()
        for name in ("ours.crt", "ours.key")
    }
    with serving(context) as api:
        path = write_kubeconfig(
            tmp_path / "kubeconfig", api.url, **{"certificate-authority-data": encoded["ours.crt"]}
        )
        content = yaml.safe_load(path.read_text())
        content["users"][0]["user"] = {
            "client-certificate-data": encoded["ours.crt"],
            "client-key-data": encoded["ours.key"],
        }
        path.write_text(yaml.safe_dump(content))

        assert Kubernetes(path, CONTEXT).ready() == "ok"
    assert list(folder.iterdir()) == []


def test_one_name_is_requested_without_the_others(api: ApiServer, kubernetes: Kubernetes):
    api.hold(
        CRDS, thing("certificates.cert-manager.io"), thing("gateways.gateway.networking.k8s.io")
    )

    found = ListWatch(kubernetes, CRDS).named("certificates.cert-manager.io")

    assert found is not None
    assert api.asked == [
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldSelector=metadata.name%3Dcertificates.cert-manager.io"
    ]


def test_a_watch_continues_from_the_last_list_and_its_selection(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(PODS, thing("a", "x", app="dns"))
    api.special["watch"] = event("MODIFIED", thing("a", "x"))
    view = ListWatch(kubernetes, PODS, namespace="x")

    view.items(labels="app=dns")
    view.changed(5)

    assert api.asked[1].startswith("/api/v1/namespaces/x/pods?")
    assert {"watch=1", "resourceVersion=100", "labelSelector=app%3Ddns", "timeoutSeconds=5"} <= set(
        api.asked[1].split("?")[1].split("&")
    )


WATCHES = {
    "an event": event("MODIFIED", thing("a")),
    "a deletion": event("DELETED", thing("a")),
    "an error event": event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}),
    "an end": ended,
    "410 Gone": refusal(410, "too old resource version: 100 (200)"),
}


@pytest.mark.parametrize("how", WATCHES)
def test_a_watch_returns_at_the_first_change(api: ApiServer, kubernetes: Kubernetes, how: str):
    api.hold(NODES, thing("a"))
    api.special["watch"] = WATCHES[how]
    view = ListWatch(kubernetes, NODES)
    view.items()

    started = time.monotonic()
    view.changed(30)

    assert time.monotonic() - started < 5


@pytest.mark.parametrize("how", [silent, dripping], ids=["silent", "dripping"])
def test_a_watch_without_events_ends_at_its_time_limit(
    api: ApiServer, kubernetes: Kubernetes, how: Any
):
    api.hold(NODES, thing("a"))
    api.special["watch"] = how
    view = ListWatch(kubernetes, NODES)
    view.items()

    started = time.monotonic()
    view.changed(0.2)

    assert 0.15 <= time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("how", "kind", "retried"),
    [
        (broken, ApiUnavailable, True),
        (mute, ApiUnavailable, True),
        (refusal(404), ApiUnavailable, True),
        (refusal(401), ApiRefused, False),
        (refusal(403), ApiRefused, False),
        (refusal(429), ApiRefused, True),
        (refusal(500), ApiRefused, True),
    ],
    ids=["broken", "mute", "404", "401", "403", "429", "500"],
)
def test_a_failed_watch_is_reported(
    api: ApiServer, kubernetes: Kubernetes, how: Any, kind: type[Exception], retried: bool
):
    api.hold(NODES, thing("a"))
    api.special["watch"] = how
    view = ListWatch(kubernetes, NODES)
    view.items()

    with pytest.raises(kind) as caught:
        view.changed(0.2)

    assert is_retried(caught.value) is retried


def test_a_watch_needs_a_list_first(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, thing("a"))
    view = ListWatch(kubernetes, NODES)

    with pytest.raises(
        ApiUnavailable, match="cannot watch nodes: the API server does not list them yet"
    ):
        view.changed(5)


def test_a_watch_needs_a_successful_list(api: ApiServer, kubernetes: Kubernetes):
    """An old version would show old changes again, or hide new ones."""
    api.hold(NODES, thing("a"))
    view = ListWatch(kubernetes, NODES)
    view.items()
    api.special["/api/v1/nodes"] = refusal(500)

    with pytest.raises(ApiRefused):
        view.items()

    with pytest.raises(ApiUnavailable, match="cannot watch nodes"):
        view.changed(5)
    assert not any("watch" in path for path in api.asked)


def test_the_token_of_the_kubeconfig_is_sent(api: ApiServer, kubernetes: Kubernetes):
    seen: list[str] = []
    api.special["/readyz"] = lambda handler: (
        seen.append(handler.headers["Authorization"]),
        handler.send(200, b"ok"),
    )[1]

    kubernetes.ready()

    assert seen == ["Bearer secret-token"]


def test_the_answer_of_readyz_is_returned(api: ApiServer, kubernetes: Kubernetes):
    api.special["/readyz"] = raw(json.dumps("\u2717").encode()[:-3] + b"\xff", "text/plain")

    assert kubernetes.ready()
