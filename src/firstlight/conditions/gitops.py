"""Conditions of Flux: its objects are Ready, its artifact is the remote's head, its CLI finds nothing wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.tools.classification import Class, classify
from firstlight.tools.flux import RULES, Flux, parse_failures, parse_objects
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    HELM_RELEASES,
    RELEASE,
    RELEASE_NAMESPACE,
    REPLICA_SETS,
    Kind,
    Object,
    condition_of,
    name_of,
)
from firstlight.tools.view import View

HAND_OFF_S = 900.0
"""How long after a HelmRelease appears a rollout is still the hand-off's doing: Flux reconciles at once, and its longest timeout is this."""


def flux_object_ready(
    kubernetes: Kubernetes, kind: Kind, namespace: str, name: str
) -> Condition[Object]:
    """Say when a Flux object is Ready for the generation that it has now; its value is the object."""
    view = View(kubernetes, kind, namespace=namespace)

    def probe() -> Observation[Object]:
        item = view.named(name)
        if item is None:
            return not_yet(f"{namespace}/{name} does not exist")
        why = why_unready(item)
        return (
            not_yet(f"{name}: {why}")
            if why
            else holds(f"{name}: {condition_of(item, 'Ready').get('message', 'Ready')}", item)
        )

    return Condition(f"{kind.plural} {namespace}/{name} to be Ready", probe, view.changed)


def artifact_is(
    kubernetes: Kubernetes, kind: Kind, cluster: Cluster, commit: str
) -> Condition[str]:
    """Say when the Git artifact in the cluster is the commit that the remote's branch is at."""
    view = View(kubernetes, kind, namespace=cluster.sync.namespace)

    def probe() -> Observation[str]:
        item = view.named(cluster.sync.repository) or {}
        revision = str(((item.get("status") or {}).get("artifact") or {}).get("revision", ""))
        wanted = f"{cluster.sync.branch}@sha1:{commit}"
        return (
            holds(revision, revision)
            if revision == wanted
            else not_yet(f"artifact {revision or 'none'}, remote {wanted}")
        )

    return Condition(f"Flux to have cloned {commit[:12]}", probe, view.changed)


def helm_releases_ready(kubernetes: Kubernetes, cluster: Cluster) -> Condition[Mapping[str, str]]:
    """Say when Flux has taken over every release; its value is each HelmRelease's message."""
    view = View(kubernetes, HELM_RELEASES)

    def probe() -> Observation[Mapping[str, str]]:
        items = {_identity(item): item for item in view.items()}
        messages: dict[str, str] = {}
        for release in cluster.releases:
            item = items.get((release.namespace, release.name))
            why = why_unready(item) if item else "does not exist"
            if item is None or why:
                return not_yet(f"helmrelease {release.name}: {why}")
            messages[release.name] = str(condition_of(item, "Ready").get("message", ""))
        return holds(f"{len(messages)} HelmReleases Ready", messages)

    return Condition("Flux to take over every release", probe, view.changed)


def handed_off_without_rollout(kubernetes: Kubernetes, cluster: Cluster) -> Condition[int]:
    """Say whether no workload of any release rolled out while Flux took it over; its value is how many were looked at.

    A rollout makes a new ReplicaSet or ControllerRevision; one that is younger than its HelmRelease, but not by more than the hand-off can
    take, was made by the hand-off. So the cluster itself tells, at any time later.
    """

    def probe() -> Observation[int]:
        releases, _ = kubernetes.list(HELM_RELEASES)
        created = {_identity(item): _created(item) for item in releases}
        # What Flux installs by itself later on was never handed off: all its workloads are younger than their HelmRelease.
        wanted = [(release.namespace, release.name) for release in cluster.releases]
        begun = {identity: created[identity] for identity in wanted if identity in created}
        missing = [name for namespace, name in wanted if (namespace, name) not in begun]
        if missing:
            return not_yet(f"Flux has no HelmRelease {', '.join(missing)}")
        rolled: list[str] = []
        looked_at = 0
        for kind in (REPLICA_SETS, CONTROLLER_REVISIONS):
            items, _ = kubernetes.list(kind)
            for item in items:
                release = _release_of(kubernetes, item)
                if release not in begun:
                    continue
                looked_at += 1
                after_s = (_created(item) - begun[release]).total_seconds()
                if 0 < after_s <= HAND_OFF_S:
                    rolled.append(
                        f"{item['metadata']['namespace']}/{name_of(item)} {after_s:.0f} s after its HelmRelease"
                    )
        if not looked_at:
            return never("no workload belongs to any release")
        return (
            never(f"rolled out by the hand-off: {'; '.join(sorted(rolled))}")
            if rolled
            else holds(f"{looked_at} revisions, none new", looked_at)
        )

    return Condition("the hand-off to cause no rollout", probe)


CHECK_FAILED = "check failed"
FAILURES_MAX = 3


def flux_check_passes(flux: Flux) -> Condition[str]:
    """Say when `flux check` passes; a failure that its table does not know is final."""

    def probe() -> Observation[str]:
        result = flux.check()
        if result.ok:
            return holds(result.said, result.stderr or result.stdout or result.said)
        # The first failure may be what follows from another one; the last line only says that there were some.
        failures = [line for line in parse_failures(result.stderr) if line != CHECK_FAILED]
        wrong = "; ".join(failures[:FAILURES_MAX]) or result.said
        rule = classify(RULES, result.stderr)
        final = not result.timed_out and (rule is None or rule.meaning is Class.FATAL)
        return never(wrong) if final else not_yet(wrong)

    return Condition("flux check to pass", probe)


def flux_has_no_failure(flux: Flux) -> Condition[int]:
    """Say when `flux get all -A` lists objects and every one of them is Ready; its value is how many."""

    def probe() -> Observation[int]:
        result = flux.get_all()
        failures = parse_failures(result.stderr)
        if failures or not result.ok:
            return not_yet(failures[0] if failures else result.said)
        objects = parse_objects(result.stdout)
        unready = [
            f"{each.namespace}/{each.name}: {each.message or each.ready}"
            for each in objects
            if each.ready != "True"
        ]
        if not objects:
            return not_yet("Flux has no object at all")
        if unready:
            return not_yet(f"{len(unready)} of {len(objects)} not Ready; {unready[0]}")
        return holds(f"{len(objects)} objects Ready", len(objects))

    return Condition("flux get all to show no failure", probe)


def why_unready(item: Object) -> str:
    """Return why a Flux object is not Ready for what its spec says now, empty when it is."""
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
    # The object's own word and its condition's may each lag behind the spec; either makes Ready a thing of the past.
    seen = min(
        int(status.get("observedGeneration", generation)),
        int(ready.get("observedGeneration", generation)),
    )
    return "not reconciled since it was changed" if seen < generation else ""


def _identity(item: Object) -> tuple[str, str]:
    """Return namespace and name of the Helm release that a HelmRelease is about."""
    spec, metadata = item["spec"], item["metadata"]
    return str(spec.get("targetNamespace", metadata["namespace"])), str(
        spec.get("releaseName", metadata["name"])
    )


def _release_of(kubernetes: Kubernetes, item: Object) -> tuple[str, str]:
    """Return namespace and name of the Helm release that a ReplicaSet or ControllerRevision belongs to, empty for none."""
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


def _created(item: Object) -> datetime:
    return datetime.fromisoformat(str(item["metadata"]["creationTimestamp"]))
