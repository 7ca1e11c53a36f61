"""Which subjects are collected for which stage."""

from __future__ import annotations

from collections.abc import Callable

from firstlight.checklist import Stage
from firstlight.diagnostics import cilium, flux, helm, kubernetes, record, talos
from firstlight.diagnostics.archive import Entries, Omitted
from firstlight.diagnostics.deadline import Deadline
from firstlight.diagnostics.failure import Failure

Subject = Callable[[Failure, Deadline], Entries]

SUBJECTS: dict[Stage, tuple[Subject, ...]] = {
    Stage.PREFLIGHT: (),
    Stage.TALOS: (talos.machines,),
    Stage.KUBERNETES: (talos.machines, kubernetes.objects),
    Stage.CRDS: (kubernetes.crds, helm.releases, kubernetes.events),
    Stage.APPS: (kubernetes.objects, helm.releases),
    Stage.FLUX: (flux.objects, kubernetes.objects),
    Stage.FLUX_HEALTH: (flux.objects, kubernetes.objects, helm.releases),
    Stage.CILIUM: (cilium.status, kubernetes.objects),
    Stage.TIMING: (),
}
"""Nothing else needs collecting: errors of 1Password, sops or a registry already say it all."""


def subjects_of(failure: Failure) -> tuple[Subject, ...]:
    """Return what to collect for a failure, the records on this computer first."""
    subjects = SUBJECTS.get(failure.stage, (kubernetes.objects,))
    if failure.is_about_talos and talos.machines not in subjects:
        subjects = (talos.machines, *subjects)
    needs_kubeconfig = any(subject is not talos.machines for subject in subjects)
    if needs_kubeconfig and not failure.target.kubeconfig.exists():
        subjects = (*(subject for subject in subjects if subject is talos.machines), _no_kubeconfig)
    # Local records cost no time, so they precede machines that may not answer.
    return (record.of_the_run, record.of_the_lab, *(subjects or (_no_cluster,)))


def _no_cluster(failure: Failure, _deadline: Deadline) -> Entries:
    yield Omitted(
        "cluster", f"the state of the cluster does not explain a failure in stage {failure.stage}"
    )


def _no_kubeconfig(failure: Failure, _deadline: Deadline) -> Entries:
    yield Omitted("cluster", f"there is no kubeconfig at {failure.target.kubeconfig}")
