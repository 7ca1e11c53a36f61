"""Manifests are compared with the cluster: only what they contain matters, and all of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.actions.manifests import apply_flux_resources, apply_secrets
from firstlight.errors import FirstlightError
from firstlight.run.retry import is_retried
from firstlight.tools.kubectl import FIELD_MANAGER, Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.manifests import difference, missing_from, read_manifests
from firstlight.tools.objects import (
    CONFIG_MAPS,
    GIT_REPOSITORIES,
    KUSTOMIZATIONS,
    NAMESPACES,
    SECRETS,
)
from firstlight.tools.op import OnePassword
from firstlight.tools.reading import Unreadable
from tests.definitions import infra
from tests.tools.apiserver import ApiServer, serving, write_kubeconfig
from tests.tools.scripted import Said, captured, scripted

CLUSTER = infra()

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4))
names = st.text(max_size=3)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=12,
)


def with_extras(value: Any, draw: Any) -> Any:
    """Return a value with additional keys in each of its mappings."""
    if isinstance(value, dict):
        extras = draw(st.dictionaries(names, scalars, max_size=2))
        return {
            **{key: more for key, more in extras.items() if key not in value},
            **{key: with_extras(inner, draw) for key, inner in value.items()},
        }
    return [with_extras(inner, draw) for inner in value] if isinstance(value, list) else value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each scalar."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path


@given(wanted=trees)
def test_a_manifest_does_not_differ_from_itself(wanted: Any):
    assert missing_from(wanted, deepcopy(wanted)) is None


@given(wanted=trees, data=st.data())
def test_additional_fields_in_the_cluster_do_not_matter(wanted: Any, data: st.DataObject):
    assert missing_from(wanted, with_extras(wanted, data.draw)) is None


@given(wanted=trees, data=st.data())
def test_any_different_value_is_found(wanted: Any, data: st.DataObject):
    paths = list(leaves(wanted))
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    live = {"root": deepcopy(wanted)}
    *way, last = ("root", *path)
    inner: Any = live
    for step in way:
        inner = inner[step]
    inner[last] = "something else entirely"

    assert missing_from(wanted, live["root"]) is not None


@given(
    wanted=st.dictionaries(names, st.integers(min_value=1), min_size=1, max_size=4), data=st.data()
)
def test_any_missing_key_is_found(wanted: dict[str, int], data: st.DataObject):
    gone = data.draw(st.sampled_from(sorted(wanted)))

    assert (
        missing_from(wanted, {key: value for key, value in wanted.items() if key != gone}) == gone
    )


@pytest.mark.parametrize(
    ("wanted", "live", "where"),
    [
        ({"spec": {"a": 1}}, {"spec": {"a": 2}}, "spec.a"),
        (
            {"spec": {"ports": [{"port": 1}, {"port": 2}]}},
            {"spec": {"ports": [{"port": 1}, {"port": 3}]}},
            "spec.ports[1].port",
        ),
        ({"list": [1]}, {"list": []}, "list"),
        ({"list": [1]}, {"list": [1, 2]}, "list"),
        ([1], [], ""),
        (1, 2, ""),
        ({"a": True}, {"a": 1}, "a"),
        ({"a": {"b": 1}}, {"a": "b"}, "a"),
        # The API server does not keep empty fields.
        ({"a": None, "b": "", "c": [], "d": {}, "e": False}, {}, None),
        ({"a": 0}, {}, "a"),
    ],
)
def test_the_path_of_a_difference_is_named(wanted: Any, live: Any, where: str | None):
    assert missing_from(wanted, live) == where


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with serving() as server:
        for kind in (NAMESPACES, SECRETS, CONFIG_MAPS, GIT_REPOSITORIES, KUSTOMIZATIONS):
            server.hold(kind)
        yield server


@pytest.fixture
def kubernetes(api: ApiServer, tmp_path: Path) -> Kubernetes:
    return Kubernetes(write_kubeconfig(tmp_path / "kubeconfig", api.url), CLUSTER.context)


def secret(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "x"},
        "type": "Opaque",
        "data": data,
    }


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_secret_in_plain_text_equals_its_encoded_form(api: ApiServer, kubernetes: Kubernetes):
    api.hold(SECRETS, secret(key=encoded("hunter2"), more=encoded("x")))
    wanted = {**secret(), "data": None, "stringData": {"key": "hunter2"}}

    assert difference(kubernetes, [wanted]) is None


def test_base64_with_line_breaks_equals_base64_without(api: ApiServer, kubernetes: Kubernetes):
    """`base64` breaks lines, the API server does not: the Secret would be applied in every run."""
    api.hold(SECRETS, secret(key=encoded("x" * 90)))

    broken = encoded("x" * 90)
    assert difference(kubernetes, [secret(key=f"{broken[:76]}\n{broken[76:]}\n")]) is None


def test_a_different_secret_is_named_without_its_value(api: ApiServer, kubernetes: Kubernetes):
    api.hold(SECRETS, secret(key=encoded("hunter2")))

    assert (
        difference(kubernetes, [secret(key=encoded("hunter3"))]) == "Secret x/s differs at data.key"
    )


def test_a_missing_object_is_named(api: ApiServer, kubernetes: Kubernetes):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}

    assert difference(kubernetes, [namespace, secret()]) == "Namespace flux-system does not exist"
    api.hold(
        NAMESPACES, {"metadata": {"name": "flux-system"}, "apiVersion": "v1", "kind": "Namespace"}
    )
    assert difference(kubernetes, [namespace, secret()]) == "Secret x/s does not exist"


def test_a_status_in_a_manifest_is_not_compared(api: ApiServer, kubernetes: Kubernetes):
    api.hold(SECRETS, secret())

    assert difference(kubernetes, [{**secret(), "status": {"phase": "Bound"}}]) is None


def test_a_kind_that_the_bootstrap_does_not_apply_is_an_error_of_ours(kubernetes: Kubernetes):
    with pytest.raises(
        FirstlightError,
        match=(
            r"cannot compare Deployment web: bootstrap/ may only contain Namespace, "
            r"Secret, .*; let Flux apply it"
        ),
    ):
        difference(
            kubernetes,
            [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}],
        )


def test_lists_are_split_and_empty_documents_skipped():
    text = (
        "---\n---\nkind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: "
        "A, metadata: {name: a}}\n---\n{apiVersion: v1, kind: B, metadata: "
        "{name: b}}\n---\nkind: List\nitems:\n"
    )

    assert [item["kind"] for item in read_manifests(text, "x")] == ["A", "B"]


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "[hunter2]",
        "kind: A",
        "apiVersion: v1\nkind: A\nmetadata: hunter2",
        "{apiVersion: v1, kind: A, metadata: {}}",
    ],
)
def test_a_document_that_is_not_an_object_is_reported_and_not_quoted(text: str):
    with pytest.raises(
        Unreadable,
        match=r"cannot read the secrets: object 1 lacks apiVersion, kind or metadata\.name",
    ) as caught:
        read_manifests(text, "the secrets")

    assert "hunter2" not in str(caught.value)


TEMPLATE = (
    "apiVersion: v1\nkind: Secret\nmetadata: {{name: sops-age, namespace: "
    "flux-system}}\nstringData:\n  age.agekey: {}\n"
)


def secrets_action(kubernetes: Kubernetes, injected: str, kubectl: Said | None = None):
    runner = scripted(
        {
            "op inject": Said(injected),
            "kubectl": kubectl or Said("secret/sops-age serverside-applied\n"),
        }
    )
    return runner, apply_secrets(
        OnePassword(runner),
        Kubectl(runner, Path("kubeconfig"), CLUSTER.context),
        kubernetes,
        CLUSTER,
        runner,
    )


def test_secrets_go_through_pipes_are_masked_and_injected_once(kubernetes: Kubernetes):
    runner, action = secrets_action(kubernetes, TEMPLATE.format("AGE-hunter2"))

    assert action.need() == "Secret flux-system/sops-age does not exist"
    action.act()
    action.need()

    assert [called.argv[0] for called in runner.called] == ["op", "kubectl"]
    assert runner.called[1].input == TEMPLATE.format("AGE-hunter2")
    assert (
        f"--server-side --force-conflicts --field-manager {FIELD_MANAGER} --filename -"
        in runner.called[1].line
    )
    assert "hunter2" not in "".join(called.line for called in runner.called)
    assert runner.mask("AGE-hunter2") == "********"


def test_secrets_that_the_cluster_already_has_are_not_applied(
    api: ApiServer, kubernetes: Kubernetes
):
    held = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sops-age", "namespace": "flux-system"},
        "data": {"age.agekey": encoded("AGE-hunter2")},
    }
    api.hold(SECRETS, held)
    _, action = secrets_action(kubernetes, TEMPLATE.format("AGE-hunter2"))

    assert action.need() is None


@pytest.mark.parametrize(
    "value", ["hunter2: hunter2: x", "*hunter2", "'hunter2", "!hunter2 x", "|\nhunter2"]
)
def test_a_secret_that_breaks_its_yaml_is_never_shown(kubernetes: Kubernetes, value: str):
    _, action = secrets_action(kubernetes, TEMPLATE.format(value))

    with pytest.raises(
        Unreadable,
        match=(
            r"cannot read secrets\.yaml\.tpl with its secrets: it is not valid YAML "
            r"from line \d+, column \d+ on"
        ),
    ) as caught:
        action.need()

    assert "hunter2" not in str(caught.value)
    assert "store it in base64" in caught.value.next_step
    assert not is_retried(caught.value)


def test_a_restarting_api_server_is_a_retryable_failure(kubernetes: Kubernetes):
    _, action = secrets_action(
        kubernetes, TEMPLATE.format("AGE-hunter2"), captured("kubectl-no-quorum")
    )

    with pytest.raises(
        FirstlightError, match="cannot apply the bootstrap secrets: kubectl exited 1"
    ) as caught:
        action.act()

    assert is_retried(caught.value)


def test_the_first_objects_of_flux_are_those_of_the_definition(
    kubernetes: Kubernetes, api: ApiServer
):
    runner = scripted({"kubectl": Said()})
    action = apply_flux_resources(
        Kubectl(runner, Path("kubeconfig"), CLUSTER.context), kubernetes, CLUSTER
    )

    assert str(action.need()).endswith(" does not exist")
    action.act()

    objects = read_manifests(str(runner.called[0].input), "what was applied")
    assert {(item["kind"], item["metadata"]["name"]) for item in objects} >= {
        ("GitRepository", CLUSTER.sync.repository),
        ("Kustomization", CLUSTER.sync.kustomization),
    }
    for kind in (NAMESPACES, SECRETS, CONFIG_MAPS, GIT_REPOSITORIES, KUSTOMIZATIONS):
        api.hold(
            kind,
            *(
                item
                for item in objects
                if f"{item['kind'].lower()}s".replace("repositorys", "repositories") == kind.plural
            ),
        )
    assert action.need() is None
