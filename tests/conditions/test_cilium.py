"""Cilium and cluster DNS: every agent is asked, and a lookup crosses nodes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest

from firstlight.conditions.cilium import (
    bgp_control_plane_enabled,
    cilium_status_ok,
    datapath_operational,
    every_agent_identifies_the_cluster,
    hubble_relay_answers,
)
from firstlight.conditions.dns import NAME, coredns_answers_across_nodes, coredns_resolves
from firstlight.errors import FirstlightError
from firstlight.run.retry import is_retried
from firstlight.tools.cilium import Cilium
from firstlight.tools.hubble import NoAnswer
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import DAEMON_SETS, NODES, PODS, SERVICES, Kind
from tests.conditions.objects import item, leaving, pod
from tests.definitions import infra
from tests.tools.apiserver import ApiServer
from tests.tools.scripted import Said, scripted

CLUSTER = infra()
NAMES = sorted(CLUSTER.node_names)
CONFIG = {"ClusterID": 1, "ClusterName": "infra", "EnableBGPControlPlane": True}
STATUS = {
    "cilium": {"state": "Ok", "msg": "1.18.5"},
    "kube-proxy-replacement": {"mode": "True"},
    "cluster": {"self": "infra/x"},
}


@pytest.fixture
def agents(api: ApiServer) -> None:
    """A ready agent on every node."""
    api.hold(PODS, *(agent(name) for name in NAMES))
    api.hold(SERVICES, item("kubernetes", "default", spec={"clusterIP": "10.43.0.1"}))


def agent(node: str, *, well: bool = True) -> dict[str, Any]:
    made = pod(f"cilium-{node}", node=node, owner="cilium", well=well)
    made["metadata"]["labels"]["k8s-app"] = "cilium"
    return made


def cilium(**answers: Said | dict[str, Any]) -> Cilium:
    words = {"config": "cilium-dbg config", "status": "cilium-dbg status", "cli": "status --wait"}
    said = {
        words[name]: Said(json.dumps(answer)) if isinstance(answer, dict) else answer
        for name, answer in answers.items()
    }
    return Cilium(scripted(said), Path("k"), "c")


def test_cilium_status_is_judged_by_its_exit_code():
    assert cilium_status_ok(cilium(cli=Said("OK"))).probe().holds
    seen = cilium_status_ok(
        cilium(
            cli=Said(stderr="timeout while waiting for status to become successful", exit_code=1)
        )
    ).probe()
    assert (seen.seen, seen.unsatisfiable) == (
        "timeout while waiting for status to become successful",
        False,
    )


def test_every_agent_is_asked_for_the_id_and_name_of_the_cluster(
    kubernetes: Kubernetes, agents: None
):
    asked = cilium(config=CONFIG)

    seen = every_agent_identifies_the_cluster(asked, kubernetes, CLUSTER).probe()

    assert seen.value == dict.fromkeys(NAMES, ("1", "infra"))
    assert [called.argv[6] for called in asked._runner.called] == [
        f"cilium-{name}" for name in NAMES
    ]


@pytest.mark.parametrize("wrong", [{"ClusterID": 2}, {"ClusterName": "apps"}, {"ClusterID": None}])
def test_an_agent_of_another_identity_is_final(
    kubernetes: Kubernetes, agents: None, wrong: dict[str, Any]
):
    seen = every_agent_identifies_the_cluster(
        cilium(config={**CONFIG, **wrong}), kubernetes, CLUSTER
    ).probe()

    assert seen.unsatisfiable
    assert f"the agent of {NAMES[0]} runs with cluster id" in seen.seen


def test_a_node_without_a_ready_agent_is_named(
    api: ApiServer, kubernetes: Kubernetes, agents: None
):
    api.hold(PODS, *(agent(name, well=name != NAMES[0]) for name in NAMES))

    for condition in (
        every_agent_identifies_the_cluster,
        datapath_operational,
        bgp_control_plane_enabled,
    ):
        seen = condition(cilium(), kubernetes, CLUSTER).probe()
        assert (seen.seen, seen.unsatisfiable) == (f"no agent is ready on {NAMES[0]}", False)


def test_an_agent_on_an_unknown_node_is_named(api: ApiServer, kubernetes: Kubernetes, agents: None):
    api.hold(PODS, *(agent(name) for name in [*NAMES, "stranger"]))

    for condition in (
        every_agent_identifies_the_cluster,
        datapath_operational,
        bgp_control_plane_enabled,
    ):
        seen = condition(cilium(), kubernetes, CLUSTER).probe()
        assert (seen.holds, seen.seen) == (False, "agents run on unknown nodes: stranger")


@pytest.mark.parametrize(
    ("change", "holds", "unsatisfiable"),
    [
        ({}, True, False),
        ({"kube-proxy-replacement": {"mode": "Strict"}}, True, False),
        ({"kube-proxy-replacement": {"mode": "False"}}, False, True),
        ({"kube-proxy-replacement": None}, False, True),
        ({"cilium": {"state": "Failure", "msg": "no route"}}, False, False),
        ({"cilium": None}, False, False),
    ],
)
def test_the_datapath_is_judged_by_what_the_agents_report(
    kubernetes: Kubernetes, agents: None, change: dict[str, Any], holds: bool, unsatisfiable: bool
):
    seen = datapath_operational(cilium(status={**STATUS, **change}), kubernetes, CLUSTER).probe()

    assert (seen.holds, seen.unsatisfiable) == (holds, unsatisfiable)


def test_an_agent_that_does_not_answer_yet_is_retried(kubernetes: Kubernetes, agents: None):
    starting = Said(stderr="error: unable to upgrade connection: container not found", exit_code=1)

    assert (
        not datapath_operational(cilium(status=starting), kubernetes, CLUSTER).probe().unsatisfiable
    )
    assert (
        not every_agent_identifies_the_cluster(cilium(config=starting), kubernetes, CLUSTER)
        .probe()
        .unsatisfiable
    )
    with pytest.raises(FirstlightError) as caught:
        datapath_operational(
            cilium(status=Said("Defaulted container\n{")), kubernetes, CLUSTER
        ).probe()
    assert is_retried(caught.value)


@pytest.mark.parametrize("bgp", [True, False])
def test_bgp_is_judged_by_the_configuration_of_the_agents(
    kubernetes: Kubernetes, agents: None, bgp: bool
):
    seen = bgp_control_plane_enabled(
        cilium(config={**CONFIG, "EnableBGPControlPlane": bgp}), kubernetes, CLUSTER
    ).probe()

    assert (seen.value, seen.unsatisfiable) == ((len(NAMES), False) if bgp else (None, True))


class Relay(Kubernetes):
    """An API server that forwards a port to Hubble Relay."""

    def __init__(self, pods: list[dict[str, Any]], answer: bytes) -> None:
        self.pods, self.answer, self.asked = pods, answer, b""

    def list(self, kind: Kind, **_: str) -> tuple[list[dict[str, Any]], str]:
        return self.pods, "1"

    @contextmanager
    def port_forward(self, namespace: str, pod: str, port: int) -> Iterator[socket.socket]:
        assert (namespace, pod, port) == ("kube-system", "hubble-relay-5", 4245)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(self.answer)
            theirs.shutdown(socket.SHUT_WR)
            yield ours


def answered(message: bytes) -> bytes:
    """Return an HTTP/2 answer: settings, status 200, one gRPC message, and a trailer."""
    data = b"\0" + len(message).to_bytes(4, "big") + message
    trailer = b"\x00\x0bgrpc-status\x010"
    frames = ((4, 0, 0, b""), (1, 4, 1, b"\x88"), (0, 0, 1, data), (1, 5, 1, trailer))
    return b"".join(
        len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
        for kind, flags, stream, body in frames
    )


HEARS_ALL = bytes([0x08, 0xFF, 0x1F, 0x2A, 2, 0x08, len(NAMES), 0x32, 0])
HEARS_TWO = bytes([0x08, 0xFF, 0x1F, 0x2A, 2, 0x08, 2, 0x32, 2, 0x08, 4])
RELAY = [pod("hubble-relay-5", owner="hubble-relay")]


def test_hubble_relay_answers_and_is_connected_to_every_node():
    assert hubble_relay_answers(Relay(RELAY, answered(HEARS_ALL)), CLUSTER).probe().value == len(
        NAMES
    )
    deaf = hubble_relay_answers(Relay(RELAY, answered(HEARS_TWO)), CLUSTER).probe()
    assert (deaf.seen, deaf.unsatisfiable) == (
        f"Hubble Relay is connected to 2 of {len(NAMES)} nodes, 4095 flows",
        False,
    )
    assert (
        hubble_relay_answers(Relay([], b""), CLUSTER).probe().seen
        == "no pod of Hubble Relay is ready"
    )
    gone = Relay([leaving(pod("hubble-relay-4")), *RELAY], answered(HEARS_ALL))
    assert hubble_relay_answers(gone, CLUSTER).probe().value == len(NAMES)


@pytest.mark.parametrize(
    "answer",
    [b"", answered(b"")[:12], b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ids=["hangs up", "cut off", "no HTTP/2"],
)
def test_a_relay_that_does_not_answer_yet_is_retried(answer: bytes):
    with pytest.raises(NoAnswer) as caught:
        hubble_relay_answers(Relay(RELAY, answer), CLUSTER).probe()

    assert is_retried(caught.value)


class CoreDns(Kubernetes):
    """An API server that forwards ports to CoreDNS pods, each with its own answer."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = answers

    def list(self, kind: Kind, **_: str) -> tuple[list[dict[str, Any]], str]:
        return [pod(name) for name in self.answers], "1"

    @contextmanager
    def port_forward(self, namespace: str, pod: str, port: int) -> Iterator[socket.socket]:
        assert (namespace, port) == ("kube-system", 53)
        question = dns.message.make_query(NAME, "A")
        answer = dns.message.make_response(question)
        if self.answers[pod]:
            answer.answer.append(dns.rrset.from_text(f"{NAME}.", 5, "IN", "A", *self.answers[pod]))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(len(answer.to_wire()).to_bytes(2, "big") + answer.to_wire())
            yield ours


@pytest.mark.parametrize(
    ("answers", "holds", "seen"),
    [
        (
            {"one": ["10.43.0.1"], "two": ["10.43.0.1"]},
            True,
            f"2 CoreDNS pods resolve {NAME} to 10.43.0.1",
        ),
        ({}, False, "no CoreDNS pod is ready"),
        ({"one": ["10.43.0.1"], "two": []}, False, f"two does not know {NAME}"),
        ({"one": ["10.43.0.1"], "two": ["10.9.9.9"]}, False, "CoreDNS pods disagree about"),
    ],
    ids=["all", "no pod", "unknown name", "another answer"],
)
def test_every_coredns_pod_resolves_the_api_server(
    answers: dict[str, list[str]], holds: bool, seen: str
):
    observation = coredns_resolves(CoreDns(**answers)).probe()

    assert (observation.holds, observation.unsatisfiable) == (holds, False)
    assert observation.seen.startswith(seen)


@pytest.fixture
def two_servers(api: ApiServer, agents: None) -> None:
    """Two CoreDNS pods on the first two nodes."""
    servers = [
        pod(f"coredns-{number}", node=NAMES[number], owner="coredns", podIP=f"10.42.{number}.7")
        for number in range(2)
    ]
    for server in servers:
        server["metadata"]["labels"]["k8s-app"] = "kube-dns"
    api.hold(PODS, *servers)
    api.hold(NODES, *(item(name) for name in NAMES))
    api.hold(
        DAEMON_SETS,
        item(
            "cilium",
            "kube-system",
            spec={"template": {"spec": {"containers": [{"image": "quay.io/cilium/cilium:v1"}]}}},
        ),
    )


WELL = Said()
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}


def kubectl(answer: Said, state: object = DONE, *, waited: Said = WELL) -> Kubectl:
    """Return a kubectl whose pods reach this state and then print this answer."""
    made = Said(
        json.dumps(
            {
                "metadata": {"name": "x"},
                "status": {"containerStatuses": [{"name": "client", "state": state}]},
            }
        )
    )
    return Kubectl(
        scripted(
            {
                "delete pod": Said(),
                "create --filename": Said(),
                "wait": waited,
                "get pod": made,
                "logs": answer,
            }
        ),
        Path("k"),
        "c",
    )


ANSWER = (
    "10.43.0.1       STREAM kubernetes.default.svc.cluster.local\n10.43.0.1  "
    "     DGRAM  \n10.43.0.1       RAW    \n"
)


def test_every_coredns_pod_is_queried_from_another_node(kubernetes: Kubernetes, two_servers: None):
    asked = kubectl(Said(ANSWER))

    seen = coredns_answers_across_nodes(kubernetes, asked).probe()

    assert seen.value == {"coredns-0": NAMES[1], "coredns-1": NAMES[2]}
    made = [json.loads(called.input) for called in asked._runner.called if called.input]
    assert [
        (each["spec"]["nodeName"], each["spec"]["dnsConfig"]["nameservers"]) for each in made
    ] == [
        (NAMES[1], ["10.42.0.7"]),
        (NAMES[2], ["10.42.1.7"]),
    ]


def test_a_coredns_pod_that_is_being_deleted_is_not_queried(
    api: ApiServer, kubernetes: Kubernetes, two_servers: None
):
    gone = leaving(pod("coredns-9", node=NAMES[2], owner="coredns", podIP="10.42.2.7"))
    gone["metadata"]["labels"]["k8s-app"] = "kube-dns"
    api.kinds[PODS.path()].append(gone)

    seen = coredns_answers_across_nodes(kubernetes, kubectl(Said(ANSWER))).probe()

    assert seen.value == {"coredns-0": NAMES[1], "coredns-1": NAMES[2]}


def test_client_pods_are_removed_before_and_after_a_lookup(
    kubernetes: Kubernetes, two_servers: None
):
    asked = kubectl(Said(ANSWER))

    coredns_answers_across_nodes(kubernetes, asked).probe()

    assert [called.argv[7] for called in asked._runner.called] == [
        "delete",
        "create",
        "wait",
        "get",
        "logs",
        "delete",
    ] * 2


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (Said("10.9.9.9 STREAM x\n"), "answers 10.9.9.9, not 10.43.0.1"),
        (Said(""), "answers nothing, not 10.43.0.1"),
        (
            Said(stderr="error: unable to upgrade connection", exit_code=1),
            "error: unable to upgrade connection",
        ),
    ],
)
def test_a_wrong_or_missing_answer_is_named_with_both_pods(
    kubernetes: Kubernetes, two_servers: None, answer: Said, seen: str
):
    observation = coredns_answers_across_nodes(kubernetes, kubectl(answer)).probe()

    assert observation.seen == f"coredns-0 on {NAMES[0]}, asked from {NAMES[1]}: {seen}"
    assert not observation.unsatisfiable


NO_GETENT = 'OCI runtime create failed: exec: "getent": executable file not found in $PATH'
LATE = Said(
    stderr="error: timed out waiting for the condition on pods/firstlight-dns-0", exit_code=1
)


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (
            kubectl(Said(), {"terminated": {"exitCode": 2, "reason": "Error"}}),
            "getent ended with exit code 2, Error",
        ),
        (
            kubectl(Said("getent: cannot\n"), {"terminated": {"exitCode": 2, "reason": "Error"}}),
            "getent ended with exit code 2, Error: getent: cannot",
        ),
        (
            kubectl(
                Said(exit_code=1),
                {"terminated": {"exitCode": 128, "reason": "StartError", "message": NO_GETENT}},
            ),
            f"getent ended with exit code 128, StartError: {NO_GETENT}",
        ),
        (
            kubectl(
                Said(), {"waiting": {"reason": "ErrImagePull", "message": "not found"}}, waited=LATE
            ),
            f"{LATE.stderr}; ErrImagePull: not found",
        ),
        (kubectl(Said(), {}, waited=LATE), LATE.stderr),
    ],
    ids=["no answer", "words", "no such command", "no image", "nothing"],
)
def test_a_failed_lookup_is_not_an_answer_of_dns(
    kubernetes: Kubernetes, two_servers: None, asked: Kubectl, seen: str
):
    observation = coredns_answers_across_nodes(kubernetes, asked).probe()

    assert observation.seen == f"coredns-0 on {NAMES[0]}, asked from {NAMES[1]}: {seen}"
    assert not observation.unsatisfiable


def test_a_single_node_cannot_verify_dns_across_nodes(
    api: ApiServer, kubernetes: Kubernetes, two_servers: None
):
    api.hold(NODES, item(NAMES[0]))

    assert coredns_answers_across_nodes(kubernetes, kubectl(Said(ANSWER))).probe().unsatisfiable


def test_a_plan_creates_no_client_pods(kubernetes: Kubernetes):
    assert not coredns_answers_across_nodes(kubernetes, kubectl(Said(ANSWER))).passive
