"""The kubeconfig: its problems, when it is generated again, and how it gets into 1Password."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstlight.actions.kubeconfig import generate_kubeconfig, push_kubeconfig
from firstlight.errors import ActionFailed, Blocked
from firstlight.tools.kubeconfig import kubeconfig_problem
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.op import OnePassword
from firstlight.tools.talosctl import Talosctl
from tests.definitions import infra
from tests.tools.apiserver import ApiServer, refusal, serving
from tests.tools.scripted import Said, ScriptedRunner, captured, scripted

CLUSTER = infra()
KEY = "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCg=="


def content(server: str = CLUSTER.endpoint, context: str = CLUSTER.context) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "infra", "cluster": {"server": server}}],
        "users": [{"name": context, "user": {"client-key-data": KEY, "token": "t0ken-t0ken"}}],
        "contexts": [{"name": context, "context": {"cluster": "infra", "user": context}}],
    }


def write(path: Path, data: object, mode: int = 0o600) -> Path:
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    path.chmod(mode)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".kube" / "k8s-ops-infra"


def test_a_private_kubeconfig_of_the_cluster_has_no_problem(tmp_path: Path):
    assert kubeconfig_problem(write(tmp_path / "k", content()), CLUSTER) == ""


def two_clusters() -> dict[str, Any]:
    data = content("https://10.99.0.1:6443")
    data["clusters"].append({"name": "other", "cluster": {"server": CLUSTER.endpoint}})
    return data


WRONG: dict[str, tuple[object, int, str]] = {
    "readable": (content(), 0o644, "has mode 0644, not 0600"),
    "another context": (
        content(context="admin@apps"),
        0o600,
        "has no context admin@infra, only admin@apps",
    ),
    "another server": (
        content("https://10.99.0.1:6443"),
        0o600,
        "points at https://10.99.0.1:6443, not at https://10.25.11.10:6443",
    ),
    "right server in another cluster": (
        two_clusters(),
        0o600,
        "points at https://10.99.0.1:6443, not at https://10.25.11.10:6443",
    ),
    "dangling context": (
        {**content(), "clusters": []},
        0o600,
        "points at nothing, not at https://10.25.11.10:6443",
    ),
    "empty": ("", 0o600, "has no context admin@infra, only none"),
    "text": ("hunter2", 0o600, "is not a kubeconfig: AttributeError"),
    "list": ([1], 0o600, "is not a kubeconfig: AttributeError"),
    "half": ("a: [", 0o600, "is not a kubeconfig: Unreadable"),
    "null context": ({"contexts": [None]}, 0o600, "is not a kubeconfig: TypeError"),
}


@pytest.mark.parametrize("how", WRONG)
def test_the_problem_of_a_kubeconfig_is_named(tmp_path: Path, how: str):
    data, mode, message = WRONG[how]
    path = write(tmp_path / "k", data, mode)

    assert kubeconfig_problem(path, CLUSTER) == f"{path} {message}"


def test_a_binary_file_is_not_a_kubeconfig(tmp_path: Path):
    path = tmp_path / "k"
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)

    assert kubeconfig_problem(path, CLUSTER) == f"{path} is not a kubeconfig: UnicodeDecodeError"


def test_a_missing_kubeconfig_is_named(path: Path):
    assert kubeconfig_problem(path, CLUSTER) == f"{path} does not exist"


def talos_says(data: object) -> Callable[[list[str]], Said | None]:
    def script(argv: list[str]) -> Said | None:
        if "kubeconfig" not in argv:
            return None
        return Said(stdout=data if isinstance(data, str) else yaml.safe_dump(data))

    return script


def action(runner: ScriptedRunner, path: Path):
    return generate_kubeconfig(
        Talosctl(runner, CLUSTER.talosconfig),
        CLUSTER,
        path,
        runner,
        Kubernetes(path, CLUSTER.context),
    )


def test_a_kubeconfig_is_generated_from_a_nodes_own_address_and_private(path: Path):
    runner = ScriptedRunner(talos_says(content()))
    generate = action(runner, path)

    assert generate.need() == f"{path} does not exist"
    generate.act()

    assert kubeconfig_problem(path, CLUSTER) == ""
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert "--nodes 10.25.11.11 --endpoints 10.25.11.11 kubeconfig" in runner.called[0].line


def test_the_keys_of_a_generated_kubeconfig_are_masked(path: Path):
    runner = ScriptedRunner(talos_says(content()))

    action(runner, path).act()

    assert runner.mask(f"a {KEY} b t0ken-t0ken c") == "a ******** b ******** c"


def test_a_generated_kubeconfig_of_another_cluster_is_an_error(path: Path):
    generate = action(ScriptedRunner(talos_says(content(context="admin@apps"))), path)

    with pytest.raises(
        ActionFailed,
        match=(
            r"cannot use the kubeconfig that infra-cp-1 returned: .* has no context "
            r"admin@infra, only admin@apps"
        ),
    ):
        generate.act()


def test_a_failed_generation_keeps_the_old_kubeconfig(path: Path):
    path.parent.mkdir()
    write(path, content("https://10.99.0.1:6443"))
    before = path.read_text()

    with pytest.raises(Exception, match=r"cannot generate the kubeconfig from 10\.25\.11\.11"):
        action(scripted({"kubeconfig": captured("bootstrap-node-down")}), path).act()

    assert path.read_text() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with serving() as server:
        yield server


def need_of_a_valid_file(api_url: str, tmp_path: Path) -> str | None:
    """Return why a valid kubeconfig has to be generated again, for this answer of its server."""
    data = content()
    data["clusters"][0]["cluster"]["server"] = api_url
    path = write(tmp_path / "k", data)
    cluster = CLUSTER.__class__(
        **{**{name: getattr(CLUSTER, name) for name in CLUSTER.__slots__}, "endpoint": api_url}
    )
    runner = scripted({})
    return generate_kubeconfig(
        Talosctl(runner, cluster.talosconfig),
        cluster,
        path,
        runner,
        Kubernetes(path, cluster.context),
    ).need()


@pytest.mark.parametrize(
    ("code", "needed"), [(401, True), (403, True), (500, False), (503, False), (404, False)]
)
def test_a_kubeconfig_that_the_cluster_rejects_is_generated_again(
    api: ApiServer, tmp_path: Path, code: int, needed: bool
):
    """Rejected credentials belong to another cluster; a starting server proves nothing."""
    api.special["/readyz"] = refusal(code)

    why = need_of_a_valid_file(api.url, tmp_path)

    assert (why is not None) is needed
    if needed:
        assert f"is refused: cannot read /readyz: the API server said {code}" in str(why)


def test_a_kubeconfig_whose_server_answers_is_kept(api: ApiServer, tmp_path: Path):
    assert need_of_a_valid_file(api.url, tmp_path) is None
    assert api.asked == ["/readyz"]


def test_a_kubeconfig_that_no_client_can_use_is_generated_again(path: Path):
    path.parent.mkdir()
    data = content()
    data["users"][0]["user"] = {"client-key-data": "no base64"}

    why = action(scripted({}), write(path, data)).need()

    assert why == f"cannot use the kubeconfig {path}: it is not a kubeconfig (Error)"


def pushed(document: Said, tmp_path: Path, text: str = "kubeconfig\n"):
    runner = scripted(
        {"op document get": document, "op document create": Said(), "op document edit": Said()}
    )
    return runner, push_kubeconfig(OnePassword(runner), CLUSTER, write(tmp_path / "k", text))


def test_a_kubeconfig_that_1password_lacks_is_created_through_a_pipe(tmp_path: Path):
    runner, push = pushed(captured("op-document-missing"), tmp_path)

    assert push.need() == "vault k8s-ops has no kubeconfig-infra"
    push.act()

    (line,) = runner.changed
    assert line.startswith("op document create - --title kubeconfig-infra")
    assert runner.called[-1].input == "kubeconfig\n"


def test_a_different_kubeconfig_in_1password_is_replaced(tmp_path: Path):
    runner, push = pushed(Said("another\n"), tmp_path)

    assert push.need() == "kubeconfig-infra in vault k8s-ops is another kubeconfig"
    push.act()

    assert runner.changed == ["op document edit kubeconfig-infra - --vault k8s-ops"]


def test_an_identical_kubeconfig_in_1password_is_left_alone(tmp_path: Path):
    _, push = pushed(Said("kubeconfig"), tmp_path)

    assert push.need() is None


@pytest.mark.parametrize("failure", ["op-document-signed-out", "op-document-missing-vault"])
def test_an_unreadable_vault_does_not_count_as_a_missing_document(tmp_path: Path, failure: str):
    """Otherwise a second document of the same title would be created."""
    _, push = pushed(captured(failure), tmp_path)

    with pytest.raises(Exception, match="cannot read document kubeconfig-infra of vault k8s-ops"):
        push.need()


def test_a_push_before_the_kubeconfig_is_generated_is_blocked(path: Path):
    push = push_kubeconfig(OnePassword(scripted({})), CLUSTER, path)

    with pytest.raises(
        Blocked,
        match=f"cannot push kubeconfig-infra to 1Password: there is no kubeconfig at {path}",
    ):
        push.need()
