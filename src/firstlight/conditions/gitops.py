"""Conditions of Flux: its objects are Ready, its artifact is the remote's head, its CLI finds nothing wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.tools.classification import Class, classify
from firstlight.tools.flux import RULES, Flux
from firstlight.tools.kubernetes import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    HELM_RELEASES,
    REPLICA_SETS,
    Kind,
    Kubernetes,
    Object,
    View,
    condition_of,
    name_of,
)

RELEASE = "meta.helm.sh/release-name"
"""Helm's own annotation on what a release made."""

HAND_OFF_S = 900.0
"""How long after a HelmRelease appears a rollout is still the hand-off's doing: Flux reconciles at once, and its longest timeout is this."""


def flux_object_ready(kubernetes: Kubernetes, kind: Kind, namespace: str, name: str) -> Condition[Object]:
    """Say when a Flux object is Ready for the generation that it has now; its value is the object."""
    view = View(kubernetes, kind, namespace=namespace)

    def probe() -> Observation[Object]:
        item = view.named(name)
        if item is None:
            return not_yet(f"{kind.plural[:-1]} {name} does not exist")
        why = why_unready(item)
        return not_yet(f"{name}: {why}") if why else holds(f"{name}: {condition_of(item, 'Ready').get('message', 'Ready')}", item)

    return Condition(f"{kind.plural} {namespace}/{name} to be Ready", probe, view.changed)


def artifact_is(kubernetes: Kubernetes, kind: Kind, cluster: Cluster, commit: str) -> Condition[str]:
    """Say when the Git artifact in the cluster is the commit that the remote's branch is at."""
    view = View(kubernetes, kind, namespace=cluster.sync.namespace)

    def probe() -> Observation[str]:
        item = view.named(cluster.sync.repository) or {}
        revision = str(item.get("status", {}).get("artifact", {}).get("revision", ""))
        wanted = f"{cluster.sync.branch}@sha1:{commit}"
        return holds(revision, revision) if revision == wanted else not_yet(f"artifact {revision or 'none'}, remote {wanted}")

    return Condition(f"Flux to have cloned {commit[:12]}", probe, view.changed)


def helm_releases_ready(kubernetes: Kubernetes, cluster: Cluster) -> Condition[Mapping[str, str]]:
    """Say when Flux has taken over every release; its value is each HelmRelease's message."""
    view = View(kubernetes, HELM_RELEASES)

    def probe() -> Observation[Mapping[str, str]]:
        items = {name_of(item): item for item in view.items()}
        for release in cluster.releases:
            item = items.get(release.name)
            why = why_unready(item) if item else "does not exist"
            if why:
                return not_yet(f"helmrelease {release.name}: {why}")
        return holds(f"{len(cluster.releases)} HelmReleases Ready", {name: _message(item) for name, item in items.items()})

    return Condition("Flux to take over every release", probe, view.changed)


def handed_off_without_rollout(kubernetes: Kubernetes, cluster: Cluster) -> Condition[int]:
    """Say whether no workload of any release rolled out while Flux took it over; its value is how many were looked at.

    A rollout makes a new ReplicaSet or ControllerRevision; one that is younger than its HelmRelease, but not by more than the hand-off can
    take, was made by the hand-off. So the cluster itself tells, at any time later.
    """

    def probe() -> Observation[int]:
        releases, _ = kubernetes.list(HELM_RELEASES)
        begun = {str(item["spec"].get("releaseName", name_of(item))): _created(item) for item in releases}
        missing = [release.name for release in cluster.releases if release.name not in begun]
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
                    rolled.append(f"{item['metadata']['namespace']}/{name_of(item)} {after_s:.0f} s after its HelmRelease")
        if not looked_at:
            return never("no workload belongs to any release")
        return never(f"rolled out by the hand-off: {'; '.join(sorted(rolled))}") if rolled else holds(f"{looked_at} revisions, none new", looked_at)

    return Condition("the hand-off to cause no rollout", probe)


def flux_check_passes(flux: Flux) -> Condition[str]:
    """Say when `flux check` passes; a failure that its table does not know is final."""

    def probe() -> Observation[str]:
        result = flux.check()
        last = result.output_tail[-1] if result.output_tail else "no answer"
        if result.ok:
            return holds(last, result.stderr or result.stdout or last)
        wrong = next((line for line in result.output_tail if line.startswith("✗")), last)
        rule = classify(RULES, result.stderr + result.stdout)
        return never(wrong) if rule is not None and rule.meaning is Class.FATAL else not_yet(wrong)

    return Condition("flux check to pass", probe)


def flux_has_no_failure(flux: Flux) -> Condition[int]:
    """Say when `flux get all -A` lists objects and every one of them is Ready; its value is how many."""

    def probe() -> Observation[int]:
        result = flux.get_all()
        if not result.ok:
            return not_yet(result.output_tail[-1] if result.output_tail else "no answer")
        rows = parse_flux_rows(result.stdout)
        unready = [f"{row['NAMESPACE']}/{row['NAME']}: {row['MESSAGE'] or row['READY']}" for row in rows if row["READY"] != "True"]
        if not rows:
            return not_yet("Flux has no object at all")
        return not_yet(f"{len(unready)} of {len(rows)} not Ready; {unready[0]}") if unready else holds(f"{len(rows)} objects Ready", len(rows))

    return Condition("flux get all to show no failure", probe)


def parse_flux_rows(text: str) -> list[dict[str, str]]:
    """Read the tables of `flux get all -A`: one per kind, tab-separated, each with its own heading."""
    rows: list[dict[str, str]] = []
    heading: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("\t")]
        if cells[0] == "NAMESPACE":
            heading = cells
        elif heading and len(cells) >= len(heading) - 1 and cells[0]:
            row = dict(zip(heading, cells + [""] * len(heading), strict=False))
            # Alerts and providers have no Ready column: they are configuration, nothing runs that could fail.
            if "READY" in row:
                rows.append({key: row.get(key, "") for key in ("NAMESPACE", "NAME", "READY", "MESSAGE")})
    return rows


def why_unready(item: Object) -> str:
    """Return why a Flux object is not Ready, empty when it is."""
    ready = condition_of(item, "Ready")
    status = item.get("status", {})
    generation = int(item["metadata"].get("generation", 1))
    if int(status.get("observedGeneration", -1)) < generation and not ready:
        return "not reconciled yet"
    if ready.get("status") == "True" and int(ready.get("observedGeneration", generation)) >= generation:
        return ""
    return str(ready.get("message") or ready.get("reason") or "not reconciled yet")[:240]


def _release_of(kubernetes: Kubernetes, item: Object) -> str:
    """Return the Helm release that a ReplicaSet's or ControllerRevision's owner belongs to, empty for none."""
    annotations = item["metadata"].get("annotations") or {}
    if RELEASE in annotations:
        return str(annotations[RELEASE])
    for owner in item["metadata"].get("ownerReferences") or ():
        kind = {"DaemonSet": DAEMON_SETS, "Deployment": DEPLOYMENTS}.get(str(owner["kind"]))
        if kind is not None:
            parent = kubernetes.get(kind, str(item["metadata"]["namespace"]), str(owner["name"])) or {"metadata": {}}
            return str((parent["metadata"].get("annotations") or {}).get(RELEASE, ""))
    return ""


def _created(item: Object) -> datetime:
    return datetime.fromisoformat(str(item["metadata"]["creationTimestamp"]))


def _message(item: Object) -> str:
    return str(condition_of(item, "Ready").get("message", ""))
