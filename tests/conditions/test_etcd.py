"""etcd: only one cluster, only ours, and "none" only if every control plane node reports so."""

from __future__ import annotations

import threading

import pytest

from firstlight.conditions import Condition, Observation
from firstlight.conditions.etcd import (
    etcd_is_bootstrapped,
    etcd_runs_on_every_control_plane_node,
    no_foreign_etcd,
)
from firstlight.errors import FirstlightError
from firstlight.process import ToolFailed
from firstlight.run.retry import is_retried
from firstlight.tools.etcd import EtcdUnknown, etcd_claims
from firstlight.tools.talosctl import Service, Talosctl
from tests.conditions.machines import (
    DOWN,
    LEARNER,
    NO_LEADER,
    WRONG_CA,
    Machine,
    Machines,
    member_of,
)
from tests.tools.scripted import Said

ALL = ("cp-1", "cp-2", "cp-3")


def look(condition: Condition[object]) -> Observation[object]:
    return condition.probe()


def test_machines_that_wait_for_a_cluster_report_no_members():
    machines = Machines()

    assert etcd_claims(machines.talosctl, machines.cluster) == {}
    assert (
        look(no_foreign_etcd(machines.talosctl, machines.cluster)).seen
        == "no etcd cluster exists yet"
    )


@pytest.mark.parametrize("state", ["Initialized", "Waiting", "Preparing"])
def test_an_etcd_without_a_cluster_is_not_asked_for_members(state: str):
    machines = Machines(cp_1=Machine(etcd=state))

    etcd_claims(machines.talosctl, machines.cluster)

    assert not any("etcd members" in asked for asked in machines.asked)


def test_every_control_plane_node_is_asked_but_no_worker():
    machines = Machines()

    etcd_claims(machines.talosctl, machines.cluster)

    assert sorted(asked.split()[0] for asked in machines.asked) == [
        machines.address(f"infra-cp-{number}") for number in (1, 2, 3)
    ]


def test_control_plane_nodes_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch):
    machines = Machines()
    together = threading.Barrier(3, timeout=5)
    services = Talosctl.services

    def met(self: Talosctl, node: str) -> tuple[Service, ...]:
        together.wait()
        return services(self, node)

    monkeypatch.setattr(Talosctl, "services", met)

    assert etcd_claims(machines.talosctl, machines.cluster) == {}


@pytest.mark.parametrize("name", ["cp_1", "cp_2", "cp_3"])
@pytest.mark.parametrize(
    "machine",
    [
        Machine(fails=DOWN),
        Machine(etcd=""),
        Machine(etcd="Starting"),
        Machine(etcd="Stopping"),
        Machine(etcd="Failed"),
        Machine(etcd="Finished"),
        Machine(etcd="Running", members=NO_LEADER),
        Machine(etcd="Running", members=LEARNER),
        Machine(etcd="Running", members=Said()),
        Machine(fails=Said()),
    ],
    ids=[
        "down",
        "booting",
        "starting",
        "stopping",
        "failed",
        "finished",
        "no quorum",
        "learner",
        "empty list",
        "empty answer",
    ],
)
def test_an_unknown_membership_never_counts_as_no_etcd(name: str, machine: Machine):
    """A cluster without quorum or in a reboot must not count as none: a second would be created."""
    machines = Machines(**{name: machine})

    with pytest.raises(FirstlightError) as caught:
        etcd_claims(machines.talosctl, machines.cluster)

    assert is_retried(caught.value)


def test_a_node_with_a_certificate_of_another_ca_is_not_retried():
    machines = Machines(cp_2=Machine(fails=WRONG_CA))

    with pytest.raises(ToolFailed) as caught:
        etcd_claims(machines.talosctl, machines.cluster)

    assert not is_retried(caught.value)


def test_an_etcd_that_is_neither_running_nor_waiting_reports_why():
    machines = Machines(cp_2=Machine(etcd="Failed"))

    with pytest.raises(
        EtcdUnknown,
        match=(
            "cannot tell whether infra-cp-2 has an etcd member: its etcd is Failed: "
            "Something happened"
        ),
    ):
        etcd_claims(machines.talosctl, machines.cluster)


GAVE_UP = Machine(
    etcd="Failed",
    last=(
        "Failed to run pre stage: failed to build initial etcd cluster: failed "
        "to build cluster arguments: 1 error(s) occurred:"
    ),
)


def test_an_etcd_that_gave_up_joining_before_the_bootstrap_has_no_members():
    """This applies to every machine that was configured half an hour before its bootstrap."""
    machines = Machines(cp_1=GAVE_UP, cp_2=GAVE_UP, cp_3=GAVE_UP)

    assert etcd_claims(machines.talosctl, machines.cluster) == {}


def test_a_member_that_gave_up_joining_reports_why():
    there = member_of("cp-1", "cp-3")
    machines = Machines(cp_1=there, cp_2=GAVE_UP, cp_3=there)

    seen = look(etcd_runs_on_every_control_plane_node(machines.talosctl, machines.cluster))

    assert not seen.unsatisfiable
    assert "failed to build initial etcd cluster" in seen.seen


def test_unknown_etcd_members_stop_the_run():
    machines = Machines(cp_1=member_of("cp-1", "old-1"))

    seen = look(no_foreign_etcd(machines.talosctl, machines.cluster))

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        "etcd has members that the definition does not know: infra-old-1",
    )


def test_two_clusters_stop_the_run():
    machines = Machines(cp_1=member_of("cp-1", "cp-3"), cp_2=member_of("cp-2"))

    for condition in (no_foreign_etcd, etcd_runs_on_every_control_plane_node):
        seen = look(condition(machines.talosctl, machines.cluster))

        assert seen.unsatisfiable
        assert seen.seen == (
            "more than one etcd cluster claims these machines: infra-cp-1 says "
            "infra-cp-1, infra-cp-3; infra-cp-2 says infra-cp-2"
        )


def test_a_joining_node_that_reports_fewer_members_is_not_a_second_cluster():
    machines = Machines(cp_1=member_of(*ALL), cp_2=member_of("cp-1", "cp-2"))

    seen = look(no_foreign_etcd(machines.talosctl, machines.cluster))

    assert seen.holds
    assert seen.value is not None
    assert seen.value.members == {"infra-cp-1", "infra-cp-2", "infra-cp-3"}  # type: ignore[attr-defined]


def test_a_member_without_a_name_is_ignored():
    """It was added but has not started, so its name is empty; it is not an unknown member."""
    machines = Machines(cp_1=Machine(etcd="Running", members=("infra-cp-1", "")))

    assert etcd_claims(machines.talosctl, machines.cluster) == {
        "infra-cp-1": frozenset({"infra-cp-1"})
    }
    assert look(no_foreign_etcd(machines.talosctl, machines.cluster)).holds


def test_only_the_bootstrapped_node_is_asked_whether_it_is_a_member():
    """The others may be down, which the next criterion checks."""
    machines = Machines(cp_1=member_of("cp-1"), cp_2=Machine(fails=DOWN), cp_3=Machine(etcd=""))

    assert (
        look(etcd_is_bootstrapped(machines.talosctl, machines.cluster)).seen
        == "infra-cp-1 lists infra-cp-1"
    )


def test_a_node_that_is_not_bootstrapped_lists_no_member_yet():
    machines = Machines()

    seen = look(etcd_is_bootstrapped(machines.talosctl, machines.cluster))

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (
        False,
        False,
        "infra-cp-1 lists no etcd member yet",
    )


def test_etcd_runs_if_all_nodes_report_all_members_and_are_healthy():
    machines = Machines(cp_1=member_of(*ALL), cp_2=member_of(*ALL), cp_3=member_of(*ALL))

    seen = look(etcd_runs_on_every_control_plane_node(machines.talosctl, machines.cluster))

    assert (seen.holds, seen.seen) == (
        True,
        "members infra-cp-1, infra-cp-2, infra-cp-3, all healthy",
    )


def test_nodes_that_are_behind_are_named_with_the_reason_of_the_first():
    machines = Machines(cp_1=member_of("cp-1", "cp-2"), cp_2=member_of("cp-1", "cp-2"))

    seen = look(etcd_runs_on_every_control_plane_node(machines.talosctl, machines.cluster))

    assert not seen.holds
    agreement = (
        "2 of 3 members (infra-cp-1, infra-cp-2); infra-cp-1, infra-cp-2, "
        "infra-cp-3 not in agreement"
    )
    assert (
        seen.seen == f"{agreement}; etcd on infra-cp-3 is Preparing, health ?: Something happened"
    )


@pytest.mark.parametrize("said", [DOWN, WRONG_CA], ids=["down", "another authority"])
def test_a_node_that_is_behind_is_named_without_a_known_reason(said: Said):
    machines = Machines(cp_1=member_of("cp-1", "cp-2"), cp_2=member_of("cp-1", "cp-2"))
    answer, asked_before = machines.runner.script, []

    def once(argv: list[str]) -> Said | None:
        if machines.address("infra-cp-3") not in argv:
            return answer(argv)
        asked_before.append(argv)
        return answer(argv) if len(asked_before) == 1 else said

    machines.runner.script = once

    seen = look(etcd_runs_on_every_control_plane_node(machines.talosctl, machines.cluster))

    assert seen.seen == (
        "2 of 3 members (infra-cp-1, infra-cp-2); infra-cp-1, infra-cp-2, "
        "infra-cp-3 not in agreement"
    )
    assert len(asked_before) == 2


def test_an_unhealthy_member_is_named():
    machines = Machines(
        cp_1=member_of(*ALL),
        cp_2=Machine(etcd="Running", health="Fail", members=member_of(*ALL).members),
        cp_3=member_of(*ALL),
    )

    seen = look(etcd_runs_on_every_control_plane_node(machines.talosctl, machines.cluster))

    assert (seen.holds, seen.seen) == (
        False,
        "etcd on infra-cp-2 is Running, health Fail: Something happened",
    )
