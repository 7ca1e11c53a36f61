"""etcd is bootstrapped once per cluster, on one node, and its own members have to prove it."""

from __future__ import annotations

import pytest

from firstlight.actions import Action
from firstlight.actions.talos import bootstrap_etcd
from firstlight.conditions import Condition
from firstlight.errors import ActionFailed, FirstlightError, NotReady
from firstlight.process import ToolFailed
from firstlight.run.retry import ETCD_BOOTSTRAP_S, Observer, is_retried, wait_for
from tests.clocks import FakeClock
from tests.conditions.machines import ALREADY_EXISTS, DOWN, NO_LEADER, Machine, Machines, member_of
from tests.tools.scripted import TIMED_OUT, Said, captured

FIRST = "10.25.11.11"


def action(
    machines: Machines, clock: FakeClock | None = None, observer: Observer | None = None
) -> Action:
    """Return the action, with temporary refusals retried as in a run."""

    def until_accepted(condition: Condition[str]) -> str:
        return wait_for(
            condition, budget_s=ETCD_BOOTSTRAP_S, clock=clock or FakeClock(), observer=observer
        )[0]

    return bootstrap_etcd(machines.talosctl, machines.cluster, until_accepted)


def test_machines_without_etcd_members_are_bootstrapped_on_the_first_control_plane_node():
    machines = Machines()
    bootstrap = action(machines)

    assert bootstrap.title == f"bootstrap etcd on infra-cp-1 ({FIRST})"
    assert bootstrap.need() == "no control plane node has any etcd member"
    bootstrap.act()

    assert machines.bootstrapped == [FIRST]
    assert len(machines.runner.changed) == 1


@pytest.mark.parametrize("name", ["cp_1", "cp_2", "cp_3"])
def test_a_member_on_any_node_makes_the_bootstrap_unnecessary(name: str):
    machines = Machines(**{name: member_of(name.replace("_", "-"))})

    assert action(machines).need() is None
    assert machines.runner.changed == []


def test_the_check_changes_nothing():
    machines = Machines()

    action(machines).need()

    assert machines.runner.changed == []


def test_unknown_members_stop_the_bootstrap():
    machines = Machines(cp_2=member_of("cp-2", "old-7"))

    with pytest.raises(
        ActionFailed,
        match=(
            "cannot bootstrap etcd on infra-cp-1: etcd has members that the "
            "definition does not know: infra-old-7"
        ),
    ) as caught:
        action(machines).need()

    assert "find out whose cluster this is" in caught.value.next_step


def test_two_clusters_stop_the_bootstrap():
    machines = Machines(cp_1=member_of("cp-1"), cp_2=member_of("cp-2"))

    with pytest.raises(
        ActionFailed,
        match=(
            "cannot bootstrap etcd on infra-cp-1: more than one etcd cluster claims these machines"
        ),
    ):
        action(machines).need()


@pytest.mark.parametrize(
    "machine",
    [
        Machine(etcd="Running", members=NO_LEADER),
        Machine(etcd=""),
        Machine(fails=DOWN),
        Machine(etcd="Failed"),
    ],
    ids=["no quorum", "booting", "down", "failed"],
)
@pytest.mark.parametrize("name", ["cp_1", "cp_2", "cp_3"])
def test_nothing_is_decided_while_the_membership_of_one_node_is_unknown(
    name: str, machine: Machine
):
    """The node may belong to a cluster without quorum: a bootstrap would create a second one."""
    machines = Machines(**{name: machine})

    with pytest.raises(FirstlightError) as caught:
        action(machines).need()

    assert is_retried(caught.value)


def test_a_temporary_refusal_is_retried():
    machines, clock = Machines(), FakeClock()
    machines.bootstraps = [
        captured("bootstrap-not-booted"),
        captured("bootstrap-time-unsynced"),
        captured("bootstrap-node-down"),
        Said(),
    ]

    reported: list[str] = []

    action(machines, clock, observer=lambda seen, _: reported.append(seen)).act()

    assert machines.bootstrapped == [FIRST] * 4
    assert 0 < clock.seconds < 5
    refusals = (
        "bootstrap is not available yet",
        "time is not in sync yet",
        "connection refused",
        "accepted",
    )
    assert [text in seen for text, seen in zip(refusals, reported, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    "refusal", ["bootstrap-worker", "bootstrap-multiple", "bootstrap-wrong-ca"]
)
def test_a_final_refusal_ends_the_bootstrap_at_once(refusal: str):
    machines, clock = Machines(), FakeClock()
    machines.bootstraps = [captured(refusal)]

    with pytest.raises(
        ToolFailed, match=f"cannot bootstrap etcd on {FIRST}: talosctl exited 1"
    ) as caught:
        action(machines, clock).act()

    assert caught.value.next_step == "docs/runbooks/bootstrap.md#etcd-is-bootstrapped-once"
    assert (machines.bootstrapped, clock.pauses) == ([FIRST], [])


def test_an_unknown_refusal_ends_the_bootstrap_at_once():
    machines = Machines()
    machines.bootstraps = [
        Said(stderr="rpc error: code = Internal desc = the moon is in the way", exit_code=1)
    ]

    with pytest.raises(ToolFailed, match="the moon is in the way"):
        action(machines).act()

    assert machines.bootstrapped == [FIRST]


def test_a_machine_that_never_becomes_ready_is_given_up():
    machines, clock = Machines(), FakeClock()
    machines.bootstraps = [captured("bootstrap-not-booted")]

    with pytest.raises(
        NotReady,
        match=(
            f"cannot confirm {FIRST} to accept the bootstrap: not so within 600 s\n  "
            "last seen exit code 1: .*bootstrap is not available yet"
        ),
    ):
        action(machines, clock).act()

    assert clock.seconds == pytest.approx(ETCD_BOOTSTRAP_S)


def test_already_exists_is_success_when_the_members_prove_it():
    machines = Machines()
    machines.bootstraps = [ALREADY_EXISTS]
    machines.after_bootstrap = {"infra-cp-1": member_of("cp-1")}

    action(machines).act()

    assert machines.bootstrapped == [FIRST]


def test_already_exists_without_a_member_is_not_a_success_and_is_not_retried():
    """An old disk causes the same refusal, and repeating the call would not change it."""
    machines, clock = Machines(), FakeClock()
    machines.bootstraps = [ALREADY_EXISTS]

    with pytest.raises(
        NotReady, match="last seen etcd's data directory is not empty, and etcd lists no member yet"
    ):
        action(machines, clock).act()

    assert machines.bootstrapped == [FIRST]
    assert clock.seconds == pytest.approx(ETCD_BOOTSTRAP_S)


def test_already_exists_of_another_cluster_stops_the_bootstrap():
    machines = Machines()
    machines.bootstraps = [ALREADY_EXISTS]
    machines.after_bootstrap = {"infra-cp-1": member_of("cp-1", "old-7")}

    with pytest.raises(
        ActionFailed, match="members that the definition does not know: infra-old-7"
    ):
        action(machines).act()


def test_a_lost_answer_is_proven_by_the_members():
    machines = Machines()
    machines.bootstraps = [TIMED_OUT]
    machines.after_bootstrap = {"infra-cp-1": member_of("cp-1")}

    action(machines).act()

    assert machines.bootstrapped == [FIRST]


def test_a_call_that_was_never_carried_out_is_repeated():
    machines, clock = Machines(), FakeClock()
    machines.bootstraps = [TIMED_OUT, Said()]

    action(machines, clock).act()

    assert machines.bootstrapped == [FIRST, FIRST]


def test_a_refusal_after_a_broken_connection_is_proven_by_the_members():
    machines = Machines()
    machines.bootstraps = [
        Said(
            stderr=(
                "error executing bootstrap: rpc error: code = Unavailable desc = error "
                "reading from server: EOF"
            ),
            exit_code=1,
        ),
        ALREADY_EXISTS,
    ]
    machines.after_bootstrap = {"infra-cp-1": member_of("cp-1")}

    action(machines).act()

    assert machines.bootstrapped == [FIRST, FIRST]


def test_a_plan_names_the_command():
    (command,) = action(Machines()).commands()

    assert command.endswith(f"--nodes {FIRST} --endpoints {FIRST} bootstrap")
