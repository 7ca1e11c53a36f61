"""Flux's objects with what its controllers say of them, and the controllers' logs."""

from __future__ import annotations

from firstlight.checklist import Capability
from firstlight.diagnostics.deadline import Looking
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.kubernetes import LOG_LINES, conditions, describe, not_ready
from firstlight.diagnostics.piece import Absent, Found, asking
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


def objects(failure: Failure, looking: Looking) -> Found:
    """Yield all of Flux's objects, the conditions of HelmReleases, what else is not Ready with its description, and the controllers' logs."""
    yield asking("flux/objects.txt", *failure.flux("get", "all", "--all-namespaces"))
    yield asking("flux/check.txt", *failure.flux("check", "--timeout", "8s"))
    # Its description would show the values in it.
    yield conditions("flux/helmreleases.txt", failure, "helmreleases.helm.toolkit.fluxcd.io")
    for kind in KINDS:
        # An object that no controller has looked at yet has no conditions at all.
        items = not_ready(failure, looking, kind, is_ready)
        yield from describe(failure, kind, items)
    if Capability.RUNNING_PODS not in failure.target.capabilities:
        yield Absent(
            "flux/logs",
            f"{failure.target.reasons[Capability.RUNNING_PODS]}; the controllers' own processes log into lab/",
        )
        return
    for name in CONTROLLERS:
        words = ("--namespace", NAMESPACE, "logs", f"deployment/{name}", "--tail", LOG_LINES)
        yield asking(f"flux/logs-{name}.txt", *failure.kubectl(*words))
