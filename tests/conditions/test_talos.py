"""Machines: version, configuration, links, clocks, services and Talos's own checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.conditions.talos import (
    clocks_agree,
    every_talos_service_healthy,
    link_as_defined,
    machine_answers,
    machine_config_valid,
    machine_runs_its_configuration,
    talos_endpoint_answers,
    talos_health_passes,
)
from firstlight.failures import hints
from firstlight.process import ToolFailed
from firstlight.run.retry import is_retried
from firstlight.tools.reading import Unreadable
from firstlight.tools.talosctl import Talosctl
from tests.clocks import FakeClock
from tests.conditions.machines import DOWN, Machine, Machines, member_of, table
from tests.tools.scripted import CAPTURED, Said, ScriptedRunner, captured

AS_WORKER = (
    "---\nmetadata:\n    namespace: config\n    type: "
    "MachineTypes.config.talos.dev\n    id: machine-type\nspec: worker\n"
)
AS_DEFINED = AS_WORKER.replace("worker", "controlplane")
BOOTING, RUNNING = (
    CAPTURED["machinestatus-booting"]["stdout"],
    CAPTURED["machinestatus-running"]["stdout"],
)
LINKS, LINKS_MTU = CAPTURED["links"]["stdout"], CAPTURED["links-mtu"]["stdout"]


def test_a_machine_answers_with_its_version():
    machines = Machines()

    assert machine_answers(machines.talosctl, machines.cluster.nodes[4]).probe().value == "v1.12.0"


def test_the_vip_is_asked_about_the_first_node():
    machines = Machines()

    seen = talos_endpoint_answers(machines.talosctl, machines.cluster).probe()

    assert seen.holds
    assert machines.asked == [
        f"{machines.address('infra-cp-1')} --endpoints {machines.cluster.vip} version --short"
    ]


@pytest.mark.parametrize(
    "condition",
    [
        machine_answers,
        lambda talosctl, node: machine_runs_its_configuration(talosctl, Machines().cluster, node),
    ],
    ids=["answers", "runs"],
)
def test_a_machine_that_does_not_report_its_version_is_retried(condition: object):
    """A missing version is not a different version."""
    machines = Machines(cp_1=Machine(version=""))

    seen = condition(machines.talosctl, machines.cluster.nodes[0]).probe()  # type: ignore[operator]

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (
        False,
        False,
        "infra-cp-1 does not report its version",
    )


@pytest.mark.parametrize(
    ("machine", "holds", "unsatisfiable", "text"),
    [
        (Machine(resources=BOOTING + AS_DEFINED), True, False, "infra-cp-1 is booting"),
        (Machine(resources=RUNNING + AS_DEFINED), True, False, "infra-cp-1 is running"),
        (Machine(resources=RUNNING), False, False, "infra-cp-1 does not report its role"),
        (
            Machine(resources=RUNNING + AS_WORKER.replace("worker", "unknown")),
            False,
            False,
            "infra-cp-1 does not report its role",
        ),
        (
            Machine(resources=RUNNING.replace("stage: running", "stage: maintenance")),
            False,
            True,
            "infra-cp-1 is in maintenance mode: it has no configuration yet",
        ),
        (
            Machine(resources=RUNNING.replace("stage: running", "stage: rebooting")),
            False,
            False,
            "infra-cp-1 is in stage rebooting",
        ),
        (Machine(resources=""), False, False, "infra-cp-1 is in stage unknown"),
        (
            Machine(resources=RUNNING + AS_WORKER),
            False,
            True,
            "infra-cp-1 runs as a worker, the definition says controlplane",
        ),
        (
            Machine(version="v1.11.5"),
            False,
            True,
            "infra-cp-1 runs Talos v1.11.5, the definition says v1.12.0",
        ),
    ],
    ids=[
        "booting",
        "running",
        "no role",
        "unknown role",
        "maintenance",
        "rebooting",
        "silent",
        "as a worker",
        "older",
    ],
)
def test_a_machine_runs_its_configuration_or_the_reason_is_named(
    machine: Machine, holds: bool, unsatisfiable: bool, text: str
):
    machines = Machines(cp_1=machine)

    seen = machine_runs_its_configuration(
        machines.talosctl, machines.cluster, machines.cluster.nodes[0]
    ).probe()

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (holds, unsatisfiable, text)


@pytest.mark.parametrize(
    ("links", "holds", "text"),
    [
        (LINKS, True, "infra-cp-1 bond0: up, MTU 9000, 802.3ad"),
        (LINKS_MTU, False, "infra-cp-1 bond0: up, MTU 1500, 802.3ad"),
        (
            LINKS.replace("mode: 802.3ad", "mode: active-backup"),
            False,
            "infra-cp-1 bond0: up, MTU 9000, active-backup",
        ),
        (
            LINKS.replace("operationalState: up", "operationalState: down"),
            False,
            "infra-cp-1 bond0: down, MTU 9000, 802.3ad",
        ),
        (
            LINKS.replace("id: bond0", "id: bond7"),
            False,
            "infra-cp-1 has no link bond0, only bond7, eno1, eno2, lo",
        ),
        ("", False, "infra-cp-1 has no link bond0, only none"),
    ],
    ids=["as defined", "MTU", "bond", "down", "missing", "no links"],
)
def test_a_link_is_as_defined_or_its_state_is_named(links: str, holds: bool, text: str):
    machines = Machines(cp_1=Machine(resources=links))

    seen = link_as_defined(machines.talosctl, machines.cluster.nodes[0]).probe()

    assert (seen.holds, seen.seen) == (holds, text)


@pytest.mark.parametrize("links", [LINKS, LINKS_MTU], ids=["MTU 9000", "MTU 1500"])
def test_a_definition_without_an_mtu_accepts_any(links: str):
    """Only the condition decides: 0 in the definition is not compared with the link's MTU."""
    machines = Machines(cp_1=Machine(resources=links))
    node = replace(machines.cluster.nodes[0], mtu=0)

    condition = link_as_defined(machines.talosctl, node)

    assert condition.probe().holds
    assert condition.title == "bond0 of infra-cp-1 to be up"


def test_an_undefined_bond_is_not_accepted():
    machines = Machines(cp_1=Machine(resources=LINKS))
    node = replace(machines.cluster.nodes[0], bond_mode="")

    seen = link_as_defined(machines.talosctl, node).probe()

    assert (seen.holds, seen.seen) == (False, "infra-cp-1 bond0: up, MTU 9000, 802.3ad")


@pytest.mark.parametrize(
    ("version", "holds", "unsatisfiable", "text"),
    [
        ("v1.12.0", True, False, "10.25.11.10:50000 reaches infra-cp-1"),
        ("", False, False, "no version in the answer"),
        ("v1.11.5", False, True, "infra-cp-1 runs Talos v1.11.5, the definition says v1.12.0"),
    ],
    ids=["as defined", "no answer", "another version"],
)
def test_the_endpoint_answers_with_the_defined_version(
    version: str, holds: bool, unsatisfiable: bool, text: str
):
    machines = Machines(cp_1=Machine(version=version))

    seen = talos_endpoint_answers(machines.talosctl, machines.cluster).probe()

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (holds, unsatisfiable, text)


@pytest.mark.parametrize(
    "said",
    [
        Said("x.yaml is valid for metal mode\n"),
        Said(stderr="1 error occurred:\n\t* unknown keys: x\n", exit_code=1),
    ],
    ids=["valid", "invalid"],
)
def test_a_machine_config_is_valid_if_talos_accepts_it(said: Said):
    talosctl = Talosctl(ScriptedRunner(lambda _: said), Path("talosconfig"))
    cluster = Machines().cluster

    seen = machine_config_valid(talosctl, cluster, cluster.nodes[0]).probe()

    assert (seen.holds, seen.unsatisfiable) == (not said.exit_code, bool(said.exit_code))
    assert seen.seen == (
        "infra-infra-cp-1.yaml: 1 error occurred: * unknown keys: x"
        if said.exit_code
        else "infra-infra-cp-1.yaml is valid"
    )


@pytest.mark.parametrize(
    ("time", "holds", "skew_s"),
    [
        ("2026-11-23 07:32:00 +0000 UTC", True, 0.0),
        ("2026-11-23 07:32:00.9 +0000 UTC", True, 0.0),
        ("2026-11-23 08:32:04.5 +0100 CET", True, 4.5),
        ("2026-11-23 07:31:55.5 +0000 UTC", True, -4.5),
        ("2026-11-23 07:32:05.5 +0000 UTC", False, 5.5),
        ("2026-11-23 07:30:30 +0000 UTC", False, -90.0),
    ],
)
def test_clocks_agree_within_five_seconds_either_way(time: str, holds: bool, skew_s: float):
    machines = Machines(worker_2=Machine(time=time))

    seen = clocks_agree(machines.talosctl, machines.cluster.nodes, FakeClock()).probe()

    assert seen.holds is holds
    if holds:
        assert seen.value is not None
        assert seen.value["infra-worker-2"] == pytest.approx(skew_s)
        assert seen.value.keys() == machines.cluster.node_names
    else:
        assert f"largest skew {skew_s:+.1f} s, infra-worker-2; at most 5 s" in seen.seen


def test_the_duration_of_the_request_is_not_skew():
    """The machine read its clock at some time between request and answer."""
    machines, clock = Machines(), FakeClock()
    script = machines.runner.script

    def slow(argv: list[str]) -> Said | None:
        clock.sleep(10)
        said = Said(
            table(
                ("NODE", "NODE-TIME", "NTP-SERVER-TIME"),
                ("x", f"{clock.now():%Y-%m-%d %H:%M:%S} +0000 UTC", ""),
            )
        )
        clock.sleep(10)
        return said if argv[-1] == "time" else script(argv)

    machines.runner.script = slow

    seen = clocks_agree(machines.talosctl, machines.cluster.nodes, clock).probe()

    assert seen.value is not None
    assert set(seen.value.values()) == {0.0}


def test_a_machine_that_does_not_report_its_time_is_retried():
    machines = Machines(cp_2=Machine(time=""))

    seen = clocks_agree(machines.talosctl, machines.cluster.nodes, FakeClock()).probe()

    assert (seen.holds, seen.seen) == (False, "infra-cp-2 does not report its time")


@pytest.mark.parametrize(
    ("services", "text"),
    [
        (
            {"kubelet": ("Preparing", "?"), "cri": ("Running", "OK")},
            "kubelet on infra-worker-1 is Preparing, health ?: Something happened",
        ),
        (
            {"kubelet": ("Running", "Fail"), "cri": ("Failed", "?")},
            "cri on infra-worker-1 is Failed, health ?: Something happened (and 1 more)",
        ),
    ],
)
def test_an_unhealthy_service_is_named_with_its_machine(
    services: dict[str, tuple[str, str]], text: str
):
    machines = Machines(
        **{name: Machine(etcd="") for name in ("cp_1", "cp_2", "cp_3", "worker_2", "worker_3")},
        worker_1=Machine(etcd="", other=services),
    )

    seen = every_talos_service_healthy(machines.talosctl, machines.cluster).probe()

    assert (seen.holds, seen.seen) == (False, text)


def test_a_machine_that_lists_no_service_is_retried():
    machines = Machines(
        **{
            name: Machine(etcd="", other={"machined": ("Running", "?")})
            for name in ("cp_1", "cp_2", "cp_3", "worker_1", "worker_3")
        },
        worker_2=Machine(etcd="", other={}),
    )

    with pytest.raises(Unreadable, match=r"services of 10\.25\.11\.15: ") as caught:
        every_talos_service_healthy(machines.talosctl, machines.cluster).probe()

    assert is_retried(caught.value)


def test_services_without_a_health_check_and_finished_ones_are_healthy():
    machines = Machines(
        **{
            name: Machine(
                etcd="", other={"machined": ("Running", "?"), "extension": ("Finished", "?")}
            )
            for name in ("cp_1", "cp_2", "cp_3", "worker_1", "worker_2", "worker_3")
        }
    )

    assert every_talos_service_healthy(machines.talosctl, machines.cluster).probe().value == 12


def test_talos_health_asks_one_node_about_all_nodes():
    machines = Machines(cp_1=member_of("cp-1"))

    seen = talos_health_passes(machines.talosctl, machines.cluster).probe()

    assert seen.holds
    words = machines.runner.called[-1].argv
    assert words[words.index("--control-plane-nodes") + 1].count(",") == 2
    assert words[words.index("--worker-nodes") + 1].count(",") == 2


def test_the_check_that_talos_health_is_stuck_at_is_named():
    machines = Machines(cp_1=member_of("cp-1"))
    machines.healthy = captured("health-before-cni")

    seen = talos_health_passes(machines.talosctl, machines.cluster).probe()

    assert not seen.holds
    assert seen.seen.startswith(
        "waiting for all k8s nodes to report ready: some nodes are not ready: [infra-cp-1 "
    )


def test_talos_health_that_meets_a_cordoned_node_is_not_explained_by_time_limits():
    machines = Machines(cp_1=member_of("cp-1"))
    stuck = "waiting for all k8s nodes to report schedulable: some nodes are not schedulable: [x]"
    machines.healthy = Said(
        stderr=f"{stuck}\nhealthcheck error: context deadline exceeded\n", exit_code=1
    )
    passes = talos_health_passes(machines.talosctl, machines.cluster)

    seen = passes.probe()

    assert (seen.holds, seen.seen) == (False, stuck)
    assert [hint.id for hint in hints(seen.seen, passes.rows(seen))] == ["FL-252"]


def test_talos_health_is_not_called_before_etcd_runs():
    """Its own checks would take a minute to report that."""
    machines = Machines()

    seen = talos_health_passes(machines.talosctl, machines.cluster).probe()

    assert (seen.holds, seen.seen) == (False, "etcd on infra-cp-1 is Preparing")
    assert not any(" health " in asked for asked in machines.asked)


def test_a_machine_that_is_down_is_retried():
    machines = Machines(cp_1=Machine(fails=DOWN))

    seen = machine_answers(machines.talosctl, machines.cluster.nodes[0]).probe()

    assert (seen.holds, seen.unsatisfiable, seen.rows) == (False, False, ("FL-210",))
    assert "connect: connection refused" in seen.seen
    with pytest.raises(ToolFailed, match=r"of 10\.25\.11\.11: talosctl exited 1") as caught:
        link_as_defined(machines.talosctl, machines.cluster.nodes[0]).probe()
    assert is_retried(caught.value)
