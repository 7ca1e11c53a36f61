"""Conditions of Flux: its objects, its Git artifact, its hand-off and its own CLI checks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.failures import FailureClass, classify
from firstlight.tools.flux import Flux, parse_failures, parse_objects, resume_command
from firstlight.tools.git import RemoteBranch
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    GIT_REPOSITORIES,
    HELM_RELEASES,
    KUSTOMIZATIONS,
    RELEASE,
    RELEASE_NAMESPACE,
    REPLICA_SETS,
    Kind,
    Object,
    condition_of,
    is_suspended,
    name_of,
)
from firstlight.tools.watch import ListWatch

UNREADY = "FL-113"
"""The row of the failure catalogue for Flux that cannot get the repository."""

SUSPENDED = "FL-250"
"""The row of the failure catalogue for an object that somebody suspended."""

GONE = "FL-253"
"""The row of the failure catalogue for a HelmRelease that does not exist."""

HAND_OFF_S = 900.0
"""How long after the creation of a HelmRelease a rollout still counts as the hand-off's.

Flux reconciles at once, and this is its longest timeout.
"""


_SINGULAR = {GIT_REPOSITORIES: "gitrepository", KUSTOMIZATIONS: "kustomization"}


def git_repository_ready(kubernetes: Kubernetes, cluster: Cluster) -> Condition[Object]:
    """Wait until the GitRepository of the defined URL and branch is Ready."""
    sync = cluster.sync
    expected = {"url": sync.url, "ref.branch": sync.branch}
    return flux_object_ready(
        kubernetes, GIT_REPOSITORIES, sync.namespace, sync.repository, expected
    )


def kustomization_ready(kubernetes: Kubernetes, cluster: Cluster) -> Condition[Object]:
    """Wait until the Kustomization of the cluster's path is Ready."""
    sync = cluster.sync
    expected = {"path": sync.path}
    return flux_object_ready(
        kubernetes, KUSTOMIZATIONS, sync.namespace, sync.kustomization, expected
    )


def flux_object_ready(
    kubernetes: Kubernetes, kind: Kind, namespace: str, name: str, expected: Mapping[str, str]
) -> Condition[Object]:
    """Wait until a Flux object is Ready for its current generation; the value is the object.

    Args:
        kubernetes: The cluster.
        kind: The kind of the object.
        namespace: Its namespace.
        name: Its name.
        expected: Fields of its spec in dotted form, with the values they must have.
    """
    view = ListWatch(kubernetes, kind, namespace=namespace)

    def probe() -> Observation[Object]:
        item = view.named(name)
        if item is None:
            return not_yet(f"{namespace}/{name} does not exist", rows=(UNREADY,))
        if is_suspended(item):
            return _suspended((namespace, f"{_SINGULAR[kind]}/{name}"))
        why = why_unready(item)
        if why:
            return not_yet(f"{name}: {why}", rows=(UNREADY,))
        wrong = [
            f"spec.{field} is {found or 'unset'}, not {value}"
            for field, value in expected.items()
            if (found := _field(item["spec"], field)) != value
        ]
        if wrong:
            return never(f"{name}: {'; '.join(wrong)}")
        return holds(f"{name}: {condition_of(item, 'Ready').get('message', 'Ready')}", item)

    # The row is about keys, so an object with another spec must not show it.
    return Condition(f"{kind.plural} {namespace}/{name} to be Ready", probe, view.changed)


def flux_has_cloned(
    kubernetes: Kubernetes, cluster: Cluster, branch: RemoteBranch
) -> Condition[str]:
    """Wait until Flux's Git artifact is the head of the remote's branch.

    The branch may move while this waits, and Flux looks once a minute. So the artifact may be any
    head that this run saw, from its first look on.
    """
    sync = cluster.sync
    view = ListWatch(kubernetes, GIT_REPOSITORIES, namespace=sync.namespace)

    def probe() -> Observation[str]:
        item = view.named(sync.repository) or {}
        if is_suspended(item):
            return _suspended((sync.namespace, f"gitrepository/{sync.repository}"))
        revision = str(((item.get("status") or {}).get("artifact") or {}).get("revision", ""))
        now = branch.look()
        heads = {f"{branch.name}@sha1:{head}" for head in branch.heads}
        if revision in heads:
            moved = "" if revision.endswith(now) else f"; the remote is at {now[:12]} by now"
            return holds(f"{revision}{moved}", revision)
        return not_yet(
            f"artifact {revision or 'none'}, remote {branch.name}@sha1:{now}",
            rows=(UNREADY,) if revision else ("FL-104", UNREADY),
        )

    return Condition(f"Flux to have cloned the head of {branch.name}", probe, view.changed)


def every_helm_release_ready(
    kubernetes: Kubernetes, cluster: Cluster
) -> Condition[Mapping[str, str]]:
    """Wait until Flux has taken over every release; the value is each HelmRelease's message."""
    view = ListWatch(kubernetes, HELM_RELEASES)

    def probe() -> Observation[Mapping[str, str]]:
        items = {_identity(item): item for item in view.items()}
        owned = [items.get((release.namespace, release.name)) for release in cluster.releases]
        # First, because a release that depends on a suspended one is not Ready either.
        suspended = [each for each in owned if each is not None and is_suspended(each)]
        if suspended:
            return _suspended(
                *(
                    (each["metadata"]["namespace"], f"helmrelease/{name_of(each)}")
                    for each in suspended
                )
            )
        messages: dict[str, str] = {}
        for release, item in zip(cluster.releases, owned, strict=True):
            if item is None:
                return not_yet(f"helmrelease {release.name}: does not exist", rows=(GONE,))
            why = why_unready(item)
            if why:
                return not_yet(f"helmrelease {release.name}: {why}")
            messages[release.name] = str(condition_of(item, "Ready").get("message", ""))
        return holds(f"{len(messages)} HelmReleases Ready", messages)

    return Condition("Flux to take over every release", probe, view.changed)


def handed_off_without_rollout(kubernetes: Kubernetes, cluster: Cluster) -> Condition[int]:
    """Check that no workload rolled out while Flux took over; the value counts the revisions.

    A rollout creates a ReplicaSet or ControllerRevision. One that is younger than its HelmRelease,
    by no more than the hand-off can take, was created by the hand-off. This can be checked at any
    later time.
    """

    def probe() -> Observation[int]:
        releases, _ = kubernetes.list(HELM_RELEASES)
        created = {_identity(item): _created(item) for item in releases}
        # What Flux installs later was never handed off: its workloads are all younger than their
        # HelmRelease.
        wanted = [(release.namespace, release.name) for release in cluster.releases]
        begun = {identity: created[identity] for identity in wanted if identity in created}
        missing = [name for namespace, name in wanted if (namespace, name) not in begun]
        if missing:
            return not_yet(f"Flux has no HelmRelease {', '.join(missing)}", rows=(GONE,))
        rolled: list[str] = []
        checked = 0
        for kind in (REPLICA_SETS, CONTROLLER_REVISIONS):
            items, _ = kubernetes.list(kind)
            for item in items:
                release = _release_of(kubernetes, item)
                if release not in begun:
                    continue
                checked += 1
                after_s = (_created(item) - begun[release]).total_seconds()
                if 0 < after_s <= HAND_OFF_S:
                    name = f"{item['metadata']['namespace']}/{name_of(item)}"
                    rolled.append(f"{name} {after_s:.0f} s after its HelmRelease")
        if not checked:
            return never("no workload belongs to any release")
        return (
            never(f"rolled out by the hand-off: {'; '.join(sorted(rolled))}", rows=("FL-065",))
            if rolled
            else holds(f"{checked} revisions, none new", checked)
        )

    return Condition("the hand-off to cause no rollout", probe)


ALL_PASSED = "all checks passed"
CHECK_FAILED = "check failed"
FAILURES_MAX = 3


def flux_check_passes(flux: Flux) -> Condition[str]:
    """Wait until `flux check` passes; a failure that the catalogue does not know is final."""

    def probe() -> Observation[str]:
        result = flux.check()
        if result.ok:
            passed = ALL_PASSED in result.stderr + result.stdout
            return (
                holds(result.last_line, ALL_PASSED)
                if passed
                else never(f"flux check did not report `{ALL_PASSED}`: {result.last_line}")
            )
        # The first failure may follow from another; the last line only says that some failed.
        failures = [line for line in parse_failures(result.stderr) if line != CHECK_FAILED]
        wrong = "; ".join(failures[:FAILURES_MAX]) or result.last_line
        row = classify("flux", result.stderr)
        final = not result.timed_out and (row is None or row.failure_class is FailureClass.FATAL)
        return never(wrong) if final else not_yet(wrong)

    return Condition("flux check to pass", probe)


def flux_has_no_failure(flux: Flux) -> Condition[int]:
    """Wait until `flux get all -A` lists objects and all are Ready; the value counts them.

    A suspended object keeps the readiness that it had, so it is named whatever that is.
    """

    def probe() -> Observation[int]:
        result = flux.get_all()
        failures = parse_failures(result.stderr)
        if failures or not result.ok:
            return not_yet(failures[0] if failures else result.last_line)
        objects = parse_objects(result.stdout)
        suspended = [each for each in objects if each.suspended]
        if suspended:
            return _suspended(*((each.namespace, each.name) for each in suspended))
        unready = [
            f"{each.namespace}/{each.name}: {each.message or each.ready}"
            for each in objects
            if each.ready != "True"
        ]
        if not objects:
            return not_yet("Flux has no objects")
        if unready:
            return not_yet(f"{len(unready)} of {len(objects)} not Ready; {unready[0]}")
        return holds(f"{len(objects)} objects Ready", len(objects))

    return Condition("flux get all to show no failure", probe)


def why_unready(item: Object) -> str:
    """Return why a Flux object is not Ready for its current spec, empty if it is."""
    if "deletionTimestamp" in item["metadata"]:
        return "is being deleted"
    ready = condition_of(item, "Ready")
    status = item.get("status") or {}
    generation = int(item["metadata"].get("generation", 1))
    if ready.get("status") != "True":
        why = str(ready.get("message") or ready.get("reason") or "not reconciled yet")[:240]
        stalled = condition_of(item, "Stalled")
        return (
            f"given up: {stalled.get('message', '')}; {why}"
            if stalled.get("status") == "True"
            else why
        )
    # Both observed generations may lag behind the spec; either one makes Ready outdated.
    seen = min(
        int(status.get("observedGeneration", generation)),
        int(ready.get("observedGeneration", generation)),
    )
    return "not reconciled since its last change" if seen < generation else ""


def _suspended(*objects: tuple[str, str]) -> Observation[Any]:
    """Return which objects are suspended, and how to resume them: nothing but a person does.

    Args:
        objects: Namespace of each, and kind and name in one word, as `flux get` shows them.
    """
    named = [
        f"{name} in {namespace} is suspended, so Flux ignores every change: "
        f"{resume_command(name, namespace)}"
        for namespace, name in objects
    ]
    more = len(named) - FAILURES_MAX
    seen = "; ".join(named[:FAILURES_MAX]) + (f"; and {more} more" if more > 0 else "")
    return never(seen, rows=(SUSPENDED,))


def _identity(item: Object) -> tuple[str, str]:
    """Return namespace and name of the Helm release that a HelmRelease manages."""
    spec, metadata = item["spec"], item["metadata"]
    return str(spec.get("targetNamespace", metadata["namespace"])), str(
        spec.get("releaseName", metadata["name"])
    )


def _release_of(kubernetes: Kubernetes, item: Object) -> tuple[str, str]:
    """Return namespace and name of the release that a revision belongs to, empty for none."""
    metadata = item["metadata"]
    if RELEASE not in (metadata.get("annotations") or {}):
        for owner in metadata.get("ownerReferences") or ():
            kind = {"DaemonSet": DAEMON_SETS, "Deployment": DEPLOYMENTS}.get(str(owner["kind"]))
            parent = (
                kubernetes.get(kind, str(metadata["namespace"]), str(owner["name"]))
                if kind is not None
                else None
            )
            metadata = parent["metadata"] if parent is not None else metadata
    annotations = metadata.get("annotations") or {}
    return str(annotations.get(RELEASE_NAMESPACE, "")), str(annotations.get(RELEASE, ""))


def _field(spec: Object, dotted: str) -> str:
    """Return a field of a spec by its dotted name, empty if it is not set."""
    found: Any = spec
    for key in dotted.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return "" if found is None else str(found)


def _created(item: Object) -> datetime:
    return datetime.fromisoformat(str(item["metadata"]["creationTimestamp"]))
