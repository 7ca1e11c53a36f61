"""Machines run in confined containers, and their configs appear in no argument list."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.docker.engine import Engine
from lab.docker.machines import Machine, arguments, ensure
from tests.docker.fake import FakeEngine

SECRET = "machine: {token: canary-77aa}"
CP_1 = Machine("infra-cp-1", IPv4Address("10.5.0.11"), SECRET)


@pytest.fixture
def fake(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path)


def up(engine: Engine, said: list[str] | None = None) -> bool:
    return ensure(
        engine,
        [CP_1],
        image="talos:1",
        network="lab",
        label="here",
        say=(said if said is not None else []).append,
    )


def test_every_machine_gets_its_own_control_group_namespace():
    words = arguments(CP_1, image="talos:1", network="lab", label="here")

    assert "--cgroupns=private" in words
    assert {"--read-only", "--privileged", "seccomp=unconfined"} <= set(words)
    assert words[-1] == "talos:1"


def test_address_name_and_labels_are_set():
    words = arguments(CP_1, image="talos:1", network="lab", label="here")

    assert words[words.index("--ip") + 1] == "10.5.0.11"
    assert words[words.index("--hostname") + 1] == "infra-cp-1"
    assert words.count("firstlight.lab=here") == 1
    assert all(
        "volume-label=firstlight.lab=here" in word
        for word in words
        if word.startswith("type=volume")
    )


def test_the_machine_config_is_in_no_argument():
    words = arguments(CP_1, image="talos:1", network="lab", label="here")

    assert words[words.index("USERDATA") - 1] == "--env"
    assert not any("canary" in word for word in words)


def test_a_missing_machine_is_started(fake: FakeEngine):
    fake.answers("container inspect", "[]", exit_code=1)
    fake.answers("run", "id")
    fake.answers("container inspect", fake.container(CP_1, mode="private"), after="run")
    said: list[str] = []

    assert up(fake.engine, said)

    assert said == ["machines: started infra-cp-1"]
    assert "canary" not in fake.calls()


def test_a_stopped_machine_is_restarted_not_recreated(fake: FakeEngine):
    fake.answers("container inspect", fake.container(CP_1, running=False))
    fake.answers("start", "id")

    assert up(fake.engine)

    assert "start firstlight-infra-cp-1" in fake.calls()
    assert "\nrun " not in fake.calls()


def test_a_running_machine_is_left_alone(fake: FakeEngine):
    fake.answers("container inspect", fake.container(CP_1))

    assert not up(fake.engine)


def test_a_container_in_this_hosts_control_groups_is_removed_and_refused(fake: FakeEngine):
    fake.answers("container inspect", fake.container(CP_1, mode="host"))
    fake.answers("rm", "")

    with pytest.raises(TargetError, match="its control group namespace is host"):
        up(fake.engine)

    assert "rm --force --volumes firstlight-infra-cp-1" in fake.calls()


def test_a_container_that_only_claims_to_be_private_is_refused_too(fake: FakeEngine):
    if os.geteuid() != 0:
        pytest.skip("only root may compare namespaces")
    # Our own process shares its namespace with itself, which looks like a shared namespace.
    fake.answers("container inspect", fake.container(CP_1, mode="private", pid=os.getpid()))
    fake.answers("rm", "")

    with pytest.raises(TargetError, match="it shares cgroup:"):
        up(fake.engine)


def test_a_machine_with_another_config_is_refused(fake: FakeEngine):
    other = Machine(CP_1.hostname, CP_1.address, "machine: {token: another}")
    fake.answers("container inspect", fake.container(other))

    with pytest.raises(TargetError, match="the definition has changed since it was started"):
        up(fake.engine)


def test_a_container_of_another_lab_is_not_touched(fake: FakeEngine):
    fake.answers("container inspect", fake.container(CP_1, label="elsewhere"))

    with pytest.raises(TargetError, match="belongs to elsewhere"):
        up(fake.engine)
