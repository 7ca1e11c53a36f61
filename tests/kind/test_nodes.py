"""kind's containers become nodes and an endpoint, or an error with the reason."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.kind.cluster import find_nodes
from tests.docker.fake import FakeEngine

NETWORK = "firstlight-infra-kind"


def container(
    hostname: str, role: str, last: int, *, running: bool = True, network: str = NETWORK
) -> dict[str, object]:
    """Return a node's `docker container inspect`, reduced to the fields in use."""
    return {
        "Config": {
            "Hostname": hostname,
            "Labels": {"io.x-k8s.kind.cluster": "firstlight-infra", "io.x-k8s.kind.role": role},
        },
        "State": {"Running": running},
        "NetworkSettings": {"Networks": {network: {"IPAddress": f"10.6.0.{last}"}}},
    }


WHOLE = [
    container("firstlight-infra-worker10", "worker", 233),
    container("firstlight-infra-worker2", "worker", 230),
    container("firstlight-infra-external-load-balancer", "external-load-balancer", 227),
    container("firstlight-infra-control-plane2", "control-plane", 226),
    container("firstlight-infra-control-plane", "control-plane", 229),
    container("firstlight-infra-worker", "worker", 225),
]


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path)


def with_containers(engine: FakeEngine, found: list[dict[str, object]]) -> FakeEngine:
    engine.answers("container ls", "".join(f"id{number}\n" for number, _ in enumerate(found)))
    engine.answers("container inspect", json.dumps(found))
    return engine


def test_nodes_are_in_kinds_numeric_order(engine: FakeEngine) -> None:
    found = find_nodes(with_containers(engine, WHOLE).engine, "firstlight-infra", NETWORK)

    assert [node.hostname for node in found.control_planes] == [
        "firstlight-infra-control-plane",
        "firstlight-infra-control-plane2",
    ]
    assert [node.hostname for node in found.workers] == [
        "firstlight-infra-worker",
        "firstlight-infra-worker2",
        "firstlight-infra-worker10",
    ]
    assert found.endpoint == IPv4Address("10.6.0.227")
    assert "--filter label=io.x-k8s.kind.cluster=firstlight-infra" in engine.calls()


@pytest.mark.parametrize(
    ("containers", "reason"),
    [
        ([], "it has no containers"),
        (
            [*WHOLE[1:], container("firstlight-infra-worker10", "worker", 233, running=False)],
            "firstlight-infra-worker10 not running",
        ),
        ([each for each in WHOLE if "load" not in json.dumps(each)], "it has no load balancer"),
        (
            [*WHOLE[1:], container("firstlight-infra-worker10", "worker", 233, network="bridge")],
            "no address on the network firstlight-infra-kind",
        ),
    ],
    ids=["none", "stopped", "no endpoint", "elsewhere"],
)
def test_an_incomplete_cluster_is_refused_with_the_next_step(
    engine: FakeEngine, containers: list[dict[str, object]], reason: str
) -> None:
    with_containers(engine, containers)

    with pytest.raises(TargetError, match=reason) as caught:
        find_nodes(engine.engine, "firstlight-infra", NETWORK)

    assert "./task kind:down" in caught.value.next_step
