"""Actions on Talos machines: generate their configs, and bootstrap etcd, once per cluster."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from firstlight.actions.action import Action
from firstlight.clock import Clock
from firstlight.conditions.condition import Condition, Observation, holds, not_yet
from firstlight.definition.model import Cluster
from firstlight.errors import ActionFailed
from firstlight.events import DONE_BEFORE
from firstlight.failures import FailureClass, classify
from firstlight.tools.etcd import etcd_claims, etcd_problem
from firstlight.tools.machineconfig import generate_machine_configs, why_stale
from firstlight.tools.runner import Runner
from firstlight.tools.talosctl import Talosctl

BOOTSTRAP_CALL_S = 30.0
"""One `talosctl bootstrap` call: 0.1 s on a ready machine; Talos waits 5 s for time sync."""

BOOTSTRAP_FAILED = "FL-111"
"""The row of the failure catalogue for a bootstrap that failed for any reason."""

Until = Callable[[Condition[str]], str]
"""Waits until a condition holds, as long as the retry policy allows, and returns its value."""


def generate_configs(cluster: Cluster, runner: Runner, clock: Clock) -> Action:
    """Generate the machine configs and the talosconfig, if their sources have changed."""

    def act() -> None:
        generate_machine_configs(cluster, runner, now=clock.now())

    return Action(
        title=f"generate the machine configs of {cluster.name}",
        need=lambda: why_stale(cluster, now=clock.now()),
        act=act,
        commands=lambda: (f"./task talos:gen-config CLUSTER={cluster.name} TARGET=<target>",),
    )


def bootstrap_etcd(talosctl: Talosctl, cluster: Cluster, until_accepted: Until) -> Action:
    """Bootstrap etcd on the first control plane node.

    It is never bootstrapped on another node, and never when any node already lists members.
    """
    node = cluster.first_control_plane
    address = str(node.address)

    def need() -> str | None:
        claims = etcd_claims(talosctl, cluster)
        _refuse_foreign(claims, cluster)
        return None if claims else "no control plane node has any etcd member"

    def act() -> str:
        return until_accepted(_accepted(talosctl, cluster, address))

    return Action(
        title=f"bootstrap etcd on {node.hostname} ({address})",
        need=need,
        act=act,
        commands=lambda: (shlex.join(talosctl.command(address, "bootstrap")),),
    )


def _accepted(talosctl: Talosctl, cluster: Cluster, address: str) -> Condition[str]:
    """Wait until the machine accepts the bootstrap; a final refusal is an error.

    Once the machine reports that it already has data, the call is not repeated: only etcd's members
    prove that it was carried out.
    """
    already: list[str] = []

    def probe() -> Observation[str]:
        if already:
            return _proven(talosctl, cluster, already[0], rows=("FL-001",))
        result = talosctl.bootstrap(address, timeout_s=BOOTSTRAP_CALL_S)
        if result.ok:
            return holds("accepted", "accepted")
        if result.timed_out:
            return _proven(talosctl, cluster, f"no answer within {BOOTSTRAP_CALL_S:.0f} s")
        row = classify("talosctl", result.stderr)
        if row is not None and row.failure_class is FailureClass.SUCCESS:
            already.append("etcd's data directory is not empty")
            return _proven(talosctl, cluster, already[0], rows=(row.id,))
        result.raise_on_failure(
            f"bootstrap etcd on {address}",
            row=BOOTSTRAP_FAILED,
            next_step="docs/runbooks/bootstrap.md#etcd-is-bootstrapped-once",
        )
        return not_yet("refused")

    return Condition(f"{address} to accept the bootstrap", probe, row=BOOTSTRAP_FAILED)


def _proven(
    talosctl: Talosctl, cluster: Cluster, why: str, *, rows: tuple[str, ...] = ()
) -> Observation[str]:
    """Check whether etcd's members prove a bootstrap whose answer was lost or was a refusal."""
    claims = etcd_claims(talosctl, cluster)
    _refuse_foreign(claims, cluster)
    if any(cluster.first_control_plane.hostname in members for members in claims.values()):
        return holds("accepted before", DONE_BEFORE)
    return not_yet(f"{why}, and etcd lists no member yet", rows=rows)


def _refuse_foreign(claims: Mapping[str, frozenset[str]], cluster: Cluster) -> None:
    wrong = etcd_problem(claims, cluster)
    if wrong:
        raise ActionFailed(
            f"cannot bootstrap etcd on {cluster.first_control_plane.hostname}: {wrong.seen}",
            row=wrong.row,
            rows=(BOOTSTRAP_FAILED,),
            next_step=(
                "find out whose cluster this is; "
                "docs/runbooks/bootstrap.md#no-other-etcd-cluster-exists"
            ),
        )
