"""Flux's objects with their conditions, and the controllers' logs."""

from __future__ import annotations

from firstlight.checklist import Capability
from firstlight.diagnostics.archive import Entries, Omitted, output_of
from firstlight.diagnostics.deadline import Deadline
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.kubernetes import LOG_LINES, conditions, describe, not_ready
from firstlight.tools.objects import is_ready

NAMESPACE = "flux-system"

KINDS = (
    "gitrepositories.source.toolkit.fluxcd.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "helmrepositories.source.toolkit.fluxcd.io",
    "ocirepositories.source.toolkit.fluxcd.io",
    "helmcharts.source.toolkit.fluxcd.io",
)

CONTROLLERS = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
)


def objects(failure: Failure, deadline: Deadline) -> Entries:
    """Yield all of Flux's objects, a description of each that is not Ready, and logs."""
    yield output_of("flux/objects.txt", *failure.flux("get", "all", "--all-namespaces"))
    yield output_of("flux/check.txt", *failure.flux("check", "--timeout", "8s"))
    # A description of a HelmRelease would include its values.
    yield conditions("flux/helmreleases.txt", failure, "helmreleases.helm.toolkit.fluxcd.io")
    for kind in KINDS:
        # An object that no controller has seen yet has no conditions at all.
        yield from describe(failure, kind, not_ready(failure, deadline, kind, is_ready))
    if Capability.RUNNING_PODS not in failure.target.capabilities:
        why = failure.target.reasons[Capability.RUNNING_PODS]
        yield Omitted("flux/logs", f"{why}; the controllers' own processes log to lab/")
        return
    for name in CONTROLLERS:
        words = ("--namespace", NAMESPACE, "logs", f"deployment/{name}", "--tail", LOG_LINES)
        yield output_of(f"flux/logs-{name}.txt", *failure.kubectl(*words))
