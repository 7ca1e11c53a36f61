"""Which subjects are looked at for which stage: what failed there cannot be explained by anything else."""

from __future__ import annotations

from collections.abc import Callable

from firstlight.diagnostics import cilium, flux, helm, kubernetes, record, talos
from firstlight.diagnostics.deadline import Looking
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.piece import Absent, Found

Subject = Callable[[Failure, Looking], Found]

SUBJECTS: dict[str, tuple[Subject, ...]] = {
    "00-preflight": (),
    "10-talos": (talos.machines,),
    "20-kubernetes": (talos.machines, kubernetes.objects),
    "30-crds": (kubernetes.crds, helm.releases, kubernetes.events),
    "40-apps": (kubernetes.objects, helm.releases),
    "50-flux": (flux.objects, kubernetes.objects),
    "60-flux-health": (flux.objects, kubernetes.objects, helm.releases),
    "70-cilium": (cilium.status, kubernetes.objects),
    "90-timing": (),
}
"""Everything else that may have failed is on record: what preflight asks 1Password, sops or a registry is in its error."""


def subjects_of(failure: Failure) -> tuple[Subject, ...]:
    """Return what is looked at for a failure, the record of the run first."""
    subjects = SUBJECTS.get(failure.stage, (kubernetes.objects,))
    if failure.is_about_talos and talos.machines not in subjects:
        subjects = (talos.machines, *subjects)
    if (
        any(subject is not talos.machines for subject in subjects)
        and not failure.target.kubeconfig.exists()
    ):
        subjects = (*(subject for subject in subjects if subject is talos.machines), _no_kubeconfig)
    # What lies on this computer costs no time, so it comes before what is asked of machines that may be silent.
    return (record.of_the_run, record.of_the_lab, *(subjects or (_no_cluster,)))


def _no_cluster(failure: Failure, _looking: Looking) -> Found:
    yield Absent(
        "cluster",
        f"what fails in stage {failure.stage} is not explained by the state of the cluster",
    )


def _no_kubeconfig(failure: Failure, _looking: Looking) -> Found:
    yield Absent("cluster", f"there is no kubeconfig at {failure.target.kubeconfig}")
