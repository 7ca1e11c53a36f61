"""Flux: Ready for the current generation, at the remote's head, taking over without rollout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from firstlight.conditions.gitops import (
    every_helm_release_ready,
    flux_check_passes,
    flux_has_cloned,
    flux_has_no_failure,
    flux_object_ready,
    git_repository_ready,
    handed_off_without_rollout,
    kustomization_ready,
    why_unready,
)
from firstlight.tools.flux import Flux
from firstlight.tools.git import Git, RemoteBranch
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    GIT_REPOSITORIES,
    HELM_RELEASES,
    KUSTOMIZATIONS,
    REPLICA_SETS,
)
from tests.conditions.objects import Object, condition, item, ready
from tests.definitions import infra
from tests.tools.apiserver import ApiServer
from tests.tools.scripted import CAPTURED, TIMED_OUT, Said, captured, scripted

CLUSTER = infra()
COMMIT = "100c4f48ed5a1cae8b844f449e376bc0484eb990"


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (item("x", conditions=ready(), observedGeneration=1), ""),
        (item("x"), "not reconciled yet"),
        (item("x", observedGeneration=-1), "not reconciled yet"),
        (item("x", conditions=ready("False", "auth failed"), observedGeneration=-1), "auth failed"),
        (
            item(
                "x", conditions=ready("Unknown", "reconciliation in progress"), observedGeneration=1
            ),
            "reconciliation in progress",
        ),
        (
            item(
                "x", conditions=ready("True", "stored artifact"), generation=2, observedGeneration=1
            ),
            "not reconciled since its last change",
        ),
        (
            item(
                "x",
                conditions=ready("True", "stored artifact", observedGeneration=1),
                generation=2,
                observedGeneration=2,
            ),
            "not reconciled since its last change",
        ),
        (
            item(
                "x",
                conditions=ready("True", observedGeneration=2),
                generation=2,
                observedGeneration=2,
            ),
            "",
        ),
        (item("x", conditions=ready("False", reason="BuildFailed")), "BuildFailed"),
    ],
)
def test_a_flux_object_is_ready_only_for_its_current_generation(made: Object, why: str):
    assert why_unready(made) == why


def test_an_object_that_does_not_exist_yet_is_waited_for(api: ApiServer, kubernetes: Kubernetes):
    api.hold(GIT_REPOSITORIES)
    condition = flux_object_ready(kubernetes, GIT_REPOSITORIES, "flux-system", "flux-system", {})
    assert condition.probe().seen == "flux-system/flux-system does not exist"

    api.hold(
        GIT_REPOSITORIES,
        item(
            "flux-system",
            "flux-system",
            conditions=ready("True", "stored artifact"),
            observedGeneration=1,
        ),
    )

    assert condition.probe().seen == "flux-system: stored artifact"


SYNC = CLUSTER.sync


def repository(**ref: str) -> Object:
    spec = {"url": ref.pop("url", SYNC.url), "ref": {"branch": SYNC.branch, **ref}}
    return item(
        SYNC.repository, SYNC.namespace, spec=spec, conditions=ready("True", "stored artifact")
    )


def test_the_git_repository_is_ready_with_the_defined_url_and_branch(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(GIT_REPOSITORIES, repository())

    assert git_repository_ready(kubernetes, CLUSTER).probe().holds


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (repository(branch="other"), f"spec.ref.branch is other, not {SYNC.branch}"),
        (repository(branch=""), f"spec.ref.branch is unset, not {SYNC.branch}"),
        (
            repository(url="ssh://git@elsewhere/x"),
            f"spec.url is ssh://git@elsewhere/x, not {SYNC.url}",
        ),
    ],
    ids=["branch", "no branch", "url"],
)
def test_a_ready_git_repository_of_another_source_is_final(
    api: ApiServer, kubernetes: Kubernetes, made: Object, wrong: str
):
    api.hold(GIT_REPOSITORIES, made)

    seen = git_repository_ready(kubernetes, CLUSTER).probe()

    assert (seen.unsatisfiable, seen.seen) == (True, f"{SYNC.repository}: {wrong}")
    assert git_repository_ready(kubernetes, CLUSTER).rows(seen) == (), "advice about the deploy key"


@pytest.mark.parametrize(("path", "holds"), [(SYNC.path, True), ("./elsewhere", False)])
def test_the_kustomization_is_ready_with_the_path_of_the_cluster(
    api: ApiServer, kubernetes: Kubernetes, path: str, holds: bool
):
    api.hold(
        KUSTOMIZATIONS,
        item(
            SYNC.kustomization,
            SYNC.namespace,
            spec={"path": path},
            conditions=ready("True", "Applied revision: main@sha1:1"),
        ),
    )

    seen = kustomization_ready(kubernetes, CLUSTER).probe()

    assert (seen.holds, seen.unsatisfiable) == (holds, not holds)


OLDER, NEWER = "a1" * 20, "b2" * 20


def remote_at(*heads: str) -> RemoteBranch:
    """Return the remote's branch, which is at another head at each look, and stays at the last."""
    looks = [Said(f"{head}\trefs/heads/{SYNC.branch}\n") for head in heads]
    git = Git(scripted({"git ls-remote": looks}))
    return RemoteBranch(git, SYNC.url, SYNC.branch, identity="key", known_hosts="hosts")


def artifact_of(commit: str) -> Object:
    artifact = {"revision": f"main@sha1:{commit}"} if commit else None
    return item(SYNC.repository, SYNC.namespace, artifact=artifact)


@pytest.mark.parametrize(
    ("artifact", "holds", "text"),
    [
        (COMMIT, True, f"main@sha1:{COMMIT}"),
        (OLDER, False, f"artifact main@sha1:{OLDER}, remote main@sha1:{COMMIT}"),
        ("", False, f"artifact none, remote main@sha1:{COMMIT}"),
    ],
    ids=["head", "older", "none"],
)
def test_flux_has_cloned_the_head_of_the_remote(
    api: ApiServer, kubernetes: Kubernetes, artifact: str, holds: bool, text: str
):
    api.hold(GIT_REPOSITORIES, artifact_of(artifact))

    seen = flux_has_cloned(kubernetes, CLUSTER, remote_at(COMMIT)).probe()

    assert (seen.holds, seen.seen) == (holds, text)


def test_a_commit_that_is_pushed_while_waiting_is_the_head_then(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(GIT_REPOSITORIES, artifact_of(OLDER))
    cloned = flux_has_cloned(kubernetes, CLUSTER, remote_at(COMMIT, NEWER))
    assert not cloned.probe().holds

    api.hold(GIT_REPOSITORIES, artifact_of(NEWER))

    assert cloned.probe().value == f"main@sha1:{NEWER}"


def test_an_artifact_may_be_a_head_that_the_remote_has_left_since_the_first_look(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(GIT_REPOSITORIES, artifact_of(COMMIT))
    branch = remote_at(COMMIT, NEWER)
    branch.look()

    seen = flux_has_cloned(kubernetes, CLUSTER, branch).probe()

    assert (seen.holds, seen.seen) == (
        True,
        f"main@sha1:{COMMIT}; the remote is at {NEWER[:12]} by now",
    )


def suspended(made: Object) -> Object:
    made["spec"]["suspend"] = True
    return made


IGNORED = "is suspended, so Flux ignores every change"


@pytest.mark.parametrize(
    ("kind", "wait_for_it", "text"),
    [
        (
            GIT_REPOSITORIES,
            git_repository_ready,
            (
                "gitrepository/flux-system in flux-system {}: "
                "flux resume source git flux-system --namespace flux-system"
            ),
        ),
        (
            KUSTOMIZATIONS,
            kustomization_ready,
            (
                "kustomization/flux-system in flux-system {}: "
                "flux resume kustomization flux-system --namespace flux-system"
            ),
        ),
        (
            GIT_REPOSITORIES,
            lambda kubernetes, cluster: flux_has_cloned(kubernetes, cluster, remote_at(COMMIT)),
            (
                "gitrepository/flux-system in flux-system {}: "
                "flux resume source git flux-system --namespace flux-system"
            ),
        ),
    ],
    ids=["git repository", "kustomization", "its artifact"],
)
def test_a_suspended_object_is_final_however_ready_it_is(
    api: ApiServer, kubernetes: Kubernetes, kind: Any, wait_for_it: Any, text: str
):
    made = repository()
    made["spec"]["path"] = SYNC.path
    made["status"]["artifact"] = {"revision": f"main@sha1:{COMMIT}"}
    api.hold(kind, suspended(made))
    condition = wait_for_it(kubernetes, CLUSTER)

    seen = condition.probe()

    assert (seen.unsatisfiable, seen.seen) == (True, text.format(IGNORED))
    assert condition.rows(seen) == ("FL-250",)


def test_a_suspended_helm_release_is_named_before_one_that_waits_for_it(
    api: ApiServer, kubernetes: Kubernetes
):
    first, last = ALL[0], ALL[-1]
    waiting = helm_release(first, status="False", message="dependency is not ready")
    api.hold(HELM_RELEASES, waiting, suspended(helm_release(last)))

    seen = every_helm_release_ready(kubernetes, CLUSTER).probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        (
            f"helmrelease/{last} in flux-system {IGNORED}: "
            f"flux resume helmrelease {last} --namespace flux-system"
        ),
    )


def test_an_object_that_is_being_deleted_is_not_ready():
    made = repository()
    made["metadata"]["deletionTimestamp"] = "2026-11-23T07:32:00Z"

    assert why_unready(made) == "is being deleted"


def created(made: Object, time: str) -> Object:
    made["metadata"]["creationTimestamp"] = f"2026-11-23T{time}Z"
    return made


def helm_release(name: str, namespace: str = "", *, time: str = "08:00:00", **how: Any) -> Object:
    namespace = namespace or CLUSTER.release(name).namespace
    return created(
        item(
            name,
            namespace,
            spec={"releaseName": name},
            conditions=ready(**how),
            observedGeneration=1,
        ),
        time,
    )


ALL = [release.name for release in CLUSTER.releases]


def test_every_release_is_taken_over(api: ApiServer, kubernetes: Kubernetes):
    api.hold(
        HELM_RELEASES,
        *(helm_release(name, message=f"{name} upgraded") for name in ALL),
        helm_release("cilium", "elsewhere", status="False"),
        helm_release("later", "x", status="False"),
    )

    assert every_helm_release_ready(kubernetes, CLUSTER).probe().value == {
        name: f"{name} upgraded" for name in ALL
    }


def test_a_release_that_is_not_taken_over_is_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(
        HELM_RELEASES,
        *(helm_release(name) for name in ALL[:1]),
        helm_release(ALL[1], status="False", message="install retries exhausted"),
        helm_release(ALL[2], "elsewhere"),
    )

    assert (
        every_helm_release_ready(kubernetes, CLUSTER).probe().seen
        == f"helmrelease {ALL[1]}: install retries exhausted"
    )


def test_a_release_that_flux_has_given_up_is_named_as_such(api: ApiServer, kubernetes: Kubernetes):
    given_up = (
        *ready("False", "Helm upgrade failed: context deadline exceeded"),
        condition("Stalled", "True", "Failed to upgrade after 1 attempt(s)"),
    )
    api.hold(
        HELM_RELEASES,
        item(
            ALL[0],
            CLUSTER.release(ALL[0]).namespace,
            spec={"releaseName": ALL[0]},
            conditions=given_up,
        ),
    )

    seen = every_helm_release_ready(kubernetes, CLUSTER).probe().seen

    assert seen == (
        f"helmrelease {ALL[0]}: given up: Failed to upgrade after 1 attempt(s); "
        "Helm upgrade failed: context deadline exceeded"
    )


def test_a_release_without_a_helm_release_is_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(HELM_RELEASES)

    assert (
        every_helm_release_ready(kubernetes, CLUSTER).probe().seen
        == f"helmrelease {ALL[0]}: does not exist"
    )
    assert (
        handed_off_without_rollout(kubernetes, CLUSTER).probe().seen
        == f"Flux has no HelmRelease {', '.join(ALL)}"
    )


def of_release(made: Object, name: str, namespace: str = "kube-system") -> Object:
    made["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": name,
        "meta.helm.sh/release-namespace": namespace,
    }
    return made


def owned(name: str, owner: tuple[str, str], time: str, namespace: str = "kube-system") -> Object:
    made = created(item(name, namespace), time)
    made["metadata"]["ownerReferences"] = [{"kind": owner[0], "name": owner[1]}]
    return made


@pytest.fixture
def handed_off(api: ApiServer) -> ApiServer:
    """Hold a cluster whose releases were installed at 7:30 and handed off at 8:00."""
    api.hold(HELM_RELEASES, *(helm_release(name) for name in ALL))
    api.hold(
        DAEMON_SETS,
        of_release(item("cilium", "kube-system"), "cilium"),
        item("handmade", "kube-system"),
    )
    api.hold(DEPLOYMENTS, of_release(item("coredns", "kube-system"), "coredns"))
    api.hold(CONTROLLER_REVISIONS, owned("cilium-1", ("DaemonSet", "cilium"), "07:30:00"))
    # A ReplicaSet has the annotations of its Deployment.
    api.hold(
        REPLICA_SETS,
        of_release(owned("coredns-1", ("Deployment", "coredns"), "07:31:00"), "coredns"),
    )
    return api


def test_a_hand_off_without_changes_causes_no_rollout(
    handed_off: ApiServer, kubernetes: Kubernetes
):
    seen = handed_off_without_rollout(kubernetes, CLUSTER).probe()

    assert (seen.holds, seen.value) == (True, 2)


@pytest.mark.parametrize(
    ("kind", "made", "text"),
    [
        (
            CONTROLLER_REVISIONS,
            owned("cilium-2", ("DaemonSet", "cilium"), "08:00:09"),
            "kube-system/cilium-2 9 s after its HelmRelease",
        ),
        (
            REPLICA_SETS,
            of_release(owned("coredns-2", ("Deployment", "coredns"), "08:14:59"), "coredns"),
            "kube-system/coredns-2 899 s after its HelmRelease",
        ),
        (
            REPLICA_SETS,
            owned("coredns-2", ("Deployment", "coredns"), "08:00:01"),
            "kube-system/coredns-2 1 s after its HelmRelease",
        ),
    ],
    ids=["daemon set", "deployment", "by its owner"],
)
def test_a_rollout_by_the_hand_off_is_found_at_any_time_later(
    handed_off: ApiServer, kubernetes: Kubernetes, kind: Any, made: Object, text: str
):
    handed_off.kinds[kind.path()].append(made)

    seen = handed_off_without_rollout(kubernetes, CLUSTER).probe()

    assert (seen.unsatisfiable, seen.seen) == (True, f"rolled out by the hand-off: {text}")


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        # Much later, it is an ordinary upgrade.
        (CONTROLLER_REVISIONS, owned("cilium-2", ("DaemonSet", "cilium"), "09:00:00")),
        # Not part of a release.
        (CONTROLLER_REVISIONS, owned("handmade-1", ("DaemonSet", "handmade"), "08:00:09")),
        (CONTROLLER_REVISIONS, owned("database-1", ("StatefulSet", "database"), "08:00:09")),
        (REPLICA_SETS, owned("gone-1", ("Deployment", "gone"), "08:00:09")),
        # A release of the same name in another namespace.
        (
            REPLICA_SETS,
            of_release(
                owned("cilium-x", ("Deployment", "cilium"), "08:00:09", "staging"),
                "cilium",
                "staging",
            ),
        ),
    ],
    ids=["later", "handmade", "stateful set", "owner gone", "namesake"],
)
def test_rollouts_with_other_causes_are_not_counted(
    handed_off: ApiServer, kubernetes: Kubernetes, kind: Any, made: Object
):
    handed_off.kinds[kind.path()].append(made)

    assert handed_off_without_rollout(kubernetes, CLUSTER).probe().value in (2, 3)


def test_a_release_that_flux_installed_itself_was_never_handed_off(
    handed_off: ApiServer, kubernetes: Kubernetes
):
    """Its workloads are always younger than its HelmRelease."""
    handed_off.kinds[HELM_RELEASES.path()].append(
        helm_release("rook", "rook-ceph", time="08:05:00")
    )
    handed_off.kinds[REPLICA_SETS.path()].append(
        of_release(
            owned("rook-1", ("Deployment", "rook"), "08:05:20", "rook-ceph"), "rook", "rook-ceph"
        )
    )

    assert handed_off_without_rollout(kubernetes, CLUSTER).probe().value == 2


def test_a_cluster_without_workloads_of_releases_proves_nothing(
    handed_off: ApiServer, kubernetes: Kubernetes
):
    handed_off.hold(CONTROLLER_REVISIONS)
    handed_off.hold(REPLICA_SETS)

    assert handed_off_without_rollout(kubernetes, CLUSTER).probe().unsatisfiable


def flux_that_says(said: Said) -> Flux:
    return Flux(scripted({"flux": said}), Path("kubeconfig"), CLUSTER.context)


def real(entry: str) -> Said:
    return captured(entry)


NOTHING_OF_FLUX = (
    "checking failed: customresourcedefinitions.apiextensions.k8s.io "
    '"gitrepositories.source.toolkit.fluxcd.io" not found; '
    "no controllers found in the 'flux-system' namespace with the label "
    "selector 'app.kubernetes.io/part-of=flux'; "
    "no crds found with the label selector 'app.kubernetes.io/part-of=flux'"
)
ANOTHER_CA = (
    'Kubernetes API call failed: Get "https://127.25.213.10:6443/version": '
    "tls: failed to verify certificate: x509: certificate signed by unknown "
    "authority; "
    "checking failed: failed to get server groups: Get "
    '"https://127.25.213.10:6443/api": tls: failed to verify certificate: '
    "x509: certificate signed by "
    "unknown authority"
)


@pytest.mark.parametrize(
    ("said", "holds", "unsatisfiable", "text"),
    [
        (
            Said(stderr=CAPTURED["flux-check-ok-failures"]["stderr"]),
            True,
            False,
            "✔ all checks passed",
        ),
        (
            real("flux-check-before"),
            False,
            False,
            NOTHING_OF_FLUX,
        ),
        (
            real("flux-check-crds-only"),
            False,
            False,
            (
                "no controllers found in the 'flux-system' namespace with the label "
                "selector 'app.kubernetes.io/part-of=flux'"
            ),
        ),
        (
            real("flux-check-other-ca"),
            False,
            True,
            ANOTHER_CA,
        ),
        (
            Said(
                stderr="✗ Kubernetes v1.20.0 does not match >=1.32.0-0\n✗ check failed", exit_code=1
            ),
            False,
            True,
            "Kubernetes v1.20.0 does not match >=1.32.0-0",
        ),
        (
            Said(stderr="✗ helm-controller: deployment not ready\n✗ check failed", exit_code=1),
            False,
            False,
            "helm-controller: deployment not ready",
        ),
        (TIMED_OUT, False, False, "no answer"),
        (
            Said("✔ Kubernetes 1.35.0 >=1.32.0-0"),
            False,
            True,
            "flux check did not report `all checks passed`: ✔ Kubernetes 1.35.0 >=1.32.0-0",
        ),
    ],
    ids=[
        "passes",
        "no CRDs",
        "no controllers",
        "another CA",
        "old Kubernetes",
        "rolling out",
        "timed out",
        "passes without saying so",
    ],
)
def test_a_flux_check_passes_is_retried_or_fails_for_good(
    said: Said, holds: bool, unsatisfiable: bool, text: str
):
    seen = flux_check_passes(flux_that_says(said)).probe()

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (holds, unsatisfiable, text)


@pytest.mark.parametrize(
    ("said", "holds", "text"),
    [
        (real("flux-get-all"), True, "14 objects Ready"),
        (
            real("flux-get-handing-over"),
            False,
            (
                "5 of 14 not Ready; cert-manager/helmrelease/cert-manager: dependency "
                "'kube-system/spegel' is not ready"
            ),
        ),
        (real("flux-get-before-flux"), False, "Flux has no objects"),
        # flux exits with 0 even if its requests failed.
        (
            real("flux-get-api-down"),
            False,
            (
                'failed to get server groups: Get "https://127.25.213.99:6443/api": dial '
                "tcp 127.25.213.99:6443: connect: connection refused"
            ),
        ),
        (
            Said(
                CAPTURED["flux-get-all"]["stdout"],
                "✗ failed to list HelmRelease: etcdserver: leader changed\n",
            ),
            False,
            "failed to list HelmRelease: etcdserver: leader changed",
        ),
        (TIMED_OUT, False, "no answer"),
    ],
    ids=["ready", "handing over", "nothing", "API down", "half a list", "timed out"],
)
def test_flux_shows_no_failure_only_if_it_could_list_everything(said: Said, holds: bool, text: str):
    seen = flux_has_no_failure(flux_that_says(said)).probe()

    assert (seen.holds, seen.seen) == (holds, text)


def shown(*names: str) -> Said:
    """Return what `flux get all` shows once these objects are suspended."""
    text = CAPTURED["flux-get-all"]["stdout"]
    for name in names:
        text, found = re.subn(rf"({name} *\t[^\t]*\t)False ", r"\1True  ", text)
        assert found == 1
    return Said(text)


@pytest.mark.parametrize(
    ("name", "namespace", "command"),
    [
        ("gitrepository/flux-system", "flux-system", "source git flux-system"),
        ("ocirepository/coredns", "kube-system", "source oci coredns"),
        ("helmrepository/cilium", "kube-system", "source helm cilium"),
        ("helmchart/kube-system-cilium", "kube-system", "source chart kube-system-cilium"),
        ("kustomization/flux-system", "flux-system", "kustomization flux-system"),
        ("helmrelease/spegel", "kube-system", "helmrelease spegel"),
    ],
)
def test_whatever_flux_lists_as_suspended_is_final(name: str, namespace: str, command: str):
    condition = flux_has_no_failure(flux_that_says(shown(name)))

    seen = condition.probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        f"{name} in {namespace} {IGNORED}: flux resume {command} --namespace {namespace}",
    )
    assert condition.rows(seen) == ("FL-250",)


def test_three_suspended_objects_are_named_and_the_others_counted():
    names = [f"helmrelease/{name}" for name in ALL]

    seen = flux_has_no_failure(flux_that_says(shown(*names))).probe().seen

    assert seen.count("flux resume helmrelease ") == 3
    assert seen.endswith("; and 2 more")
