"""Actions on Talos machines: bootstrap etcd, once in a cluster's life."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from firstlight.actions.action import Action
from firstlight.clock import Clock
from firstlight.conditions.condition import Condition, Observation, holds, not_yet
from firstlight.conditions.etcd import etcd_claims, etcd_problem
from firstlight.conditions.waiting import Observer, wait_for
from firstlight.definition.model import Cluster
from firstlight.errors import ActionFailed
from firstlight.events import DONE_BEFORE
from firstlight.tools.classification import Class, classify
from firstlight.tools.talosctl import RULES, Talosctl

BOOTSTRAP_CALL_S = 30.0
"""One `talosctl bootstrap` call: it returns in 0.1 s on a machine that is ready for it; the server itself waits 5 s for time sync."""

BOOTSTRAP_RETRY_S = 600.0
"""How long a machine may say "not yet": Talos's own client retries as long."""


def bootstrap_etcd(
    talosctl: Talosctl,
    cluster: Cluster,
    clock: Clock,
    *,
    patience: float = 1.0,
    observer: Observer | None = None,
) -> Action:
    """Bootstrap etcd on the first control plane node, never on another, never when any node already has members; the observer is told each refusal."""
    node = cluster.first_control_plane
    address = str(node.address)

    def need() -> str | None:
        claims = etcd_claims(talosctl, cluster)
        _refuse_foreign(claims, cluster)
        return None if claims else "no control plane node has any etcd member"

    def act() -> str:
        return wait_for(
            _accepted(talosctl, cluster, address),
            budget_s=BOOTSTRAP_RETRY_S * patience,
            clock=clock,
            observer=observer,
        )[0]

    return Action(
        title=f"bootstrap etcd on {node.hostname} ({address})",
        need=need,
        act=act,
        commands=lambda: (shlex.join(talosctl.command(address, "bootstrap")),),
    )


def _accepted(talosctl: Talosctl, cluster: Cluster, address: str) -> Condition[str]:
    """Say when the machine has taken the bootstrap; refused for good is an error, refused for now is asked again.

    Once the machine says that it has data already, it is never asked again: only etcd's own members prove that the call was carried out.
    """
    already: list[str] = []

    def probe() -> Observation[str]:
        if already:
            return _proven(talosctl, cluster, already[0])
        result = talosctl.bootstrap(address, timeout_s=BOOTSTRAP_CALL_S)
        if result.ok:
            return holds("accepted", "accepted")
        if result.timed_out:
            return _proven(talosctl, cluster, f"no answer within {BOOTSTRAP_CALL_S:.0f} s")
        rule = classify(RULES, result.stderr)
        if rule is not None and rule.meaning is Class.SUCCESS:
            already.append("etcd's data directory is not empty")
            return _proven(talosctl, cluster, already[0])
        result.raise_on_failure(
            f"bootstrap etcd on {address}",
            rules=RULES,
            next_step="docs/runbooks/bootstrap.md#etcd-is-bootstrapped-once",
        )
        return not_yet("refused")

    return Condition(f"{address} to accept the bootstrap", probe)


def _proven(talosctl: Talosctl, cluster: Cluster, why: str) -> Observation[str]:
    """Say whether etcd's own members prove that the bootstrap was carried out, though its answer was lost or a refusal."""
    claims = etcd_claims(talosctl, cluster)
    _refuse_foreign(claims, cluster)
    if any(cluster.first_control_plane.hostname in members for members in claims.values()):
        return holds("accepted before", DONE_BEFORE)
    return not_yet(f"{why}, and etcd lists no member yet")


def _refuse_foreign(claims: Mapping[str, frozenset[str]], cluster: Cluster) -> None:
    wrong = etcd_problem(claims, cluster)
    if wrong:
        raise ActionFailed(
            f"cannot bootstrap etcd on {cluster.first_control_plane.hostname}: {wrong}",
            next_step="find out whose cluster this is; docs/runbooks/bootstrap.md#no-other-etcd-cluster-exists",
        )
