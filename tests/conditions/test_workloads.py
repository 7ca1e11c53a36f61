"""Workloads, pods and nodes are ready only if their status is about the current spec."""

from __future__ import annotations

from typing import Any

import pytest

from firstlight.conditions.nodes import (
    every_node_ready,
    every_node_registered,
    kubernetes_api_answers,
    vip_accepts_connections,
)
from firstlight.conditions.workloads import (
    config_map_contains,
    crd_established,
    daemon_set,
    deployment,
    every_crd_established,
    no_pod_fails,
    no_pod_named,
    runs_on_every_node,
    workload_runs,
)
from firstlight.errors import NotReady
from firstlight.run.retry import wait_for
from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.kubernetes import ApiRefused, ApiUnavailable, Kubernetes
from firstlight.tools.objects import (
    CONFIG_MAPS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    NODES,
    PODS,
    RELEASE,
    RELEASE_NAMESPACE,
)
from firstlight.tools.pod_reasons import unready_workloads
from tests.clocks import FakeClock
from tests.conditions.objects import Object, condition, item, leaving, pod, ready, waiting
from tests.definitions import infra
from tests.tools.apiserver import ApiServer, ended, event, refusal
from tests.tools.helm_secrets import helm_secret, records
from tests.tools.scripted import CAPTURED, Said, captured

CLUSTER = infra()
NAMES = sorted(CLUSTER.node_names)
CRD = "certificates.cert-manager.io"


def deployment_of(replicas: int = 2, *, generation: int = 1, **status: Any) -> Object:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}}
    return item("web", "x", spec=spec, generation=generation, **{"observedGeneration": 1, **status})


@pytest.mark.parametrize(
    ("made", "holds", "text"),
    [
        (deployment_of(readyReplicas=2, updatedReplicas=2), True, "web: 2 of 2 ready"),
        (deployment_of(readyReplicas=1, updatedReplicas=2), False, "web: 1 of 2 ready"),
        # Two are ready, but only one of them has the new template.
        (deployment_of(readyReplicas=2, updatedReplicas=1), False, "web: 1 of 2 ready"),
        # The status is about the previous spec.
        (
            deployment_of(readyReplicas=2, updatedReplicas=2, generation=2),
            False,
            "web: 2 of 2 ready",
        ),
        (item("web", "x", spec={"selector": {}}), False, "web: 0 of 1 ready"),
    ],
    ids=["all", "one short", "rolling out", "not seen yet", "no status"],
)
def test_a_deployment_runs_if_its_current_replicas_are_ready(
    api: ApiServer, kubernetes: Kubernetes, made: Object, holds: bool, text: str
):
    api.hold(DEPLOYMENTS, made)
    api.hold(PODS)

    seen = workload_runs(kubernetes, deployment("x", "web")).probe()

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (holds, False, text)


def test_a_deployment_that_is_scaled_to_zero_is_final(api: ApiServer, kubernetes: Kubernetes):
    api.hold(DEPLOYMENTS, deployment_of(0))

    seen = workload_runs(kubernetes, deployment("x", "web")).probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        "web is scaled to 0: kubectl --namespace x scale deployment web --replicas <number>",
    )
    assert seen.rows == ("FL-251",)


def test_a_daemon_set_that_no_node_is_to_run_is_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(DAEMON_SETS, set_of(0, numberReady=0))

    seen = workload_runs(kubernetes, daemon_set("x", "agent")).probe()

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (
        False,
        False,
        "agent: no node matches its node selector and tolerations",
    )
    assert seen.rows == ("FL-251",)


def set_of(wanted: int, **status: Any) -> Object:
    return item(
        "agent",
        "x",
        spec={"selector": {"matchLabels": {"app": "agent"}}},
        observedGeneration=1,
        desiredNumberScheduled=wanted,
        **status,
    )


@pytest.mark.parametrize(
    ("made", "holds"),
    [
        (set_of(6, numberReady=6, updatedNumberScheduled=6), True),
        (set_of(6, numberReady=6, updatedNumberScheduled=5), False),
        (set_of(6, numberReady=5, updatedNumberScheduled=6), False),
        (set_of(0, numberReady=0), False),
    ],
    ids=["all", "old ones", "one short", "no node yet"],
)
def test_a_daemon_set_runs_if_all_scheduled_pods_are_ready(
    api: ApiServer, kubernetes: Kubernetes, made: Object, holds: bool
):
    api.hold(DAEMON_SETS, made)
    api.hold(PODS)

    assert workload_runs(kubernetes, daemon_set("x", "agent")).probe().holds is holds


@pytest.mark.parametrize(
    ("status", "unsatisfiable", "text"),
    [
        (
            waiting("ImagePullBackOff", "Back-off pulling image"),
            False,
            "ImagePullBackOff: Back-off pulling image",
        ),
        (waiting("CrashLoopBackOff"), False, "CrashLoopBackOff"),
        (waiting("InvalidImageName", "nope"), True, "InvalidImageName: nope"),
        (waiting("ContainerCreating"), False, "Pending"),
        (
            {
                "initContainerStatuses": [
                    {"state": {"terminated": {"reason": "Error", "message": "exit 1"}}}
                ],
                **waiting("PodInitializing"),
            },
            False,
            "Error: exit 1",
        ),
        (
            {
                "conditions": (
                    condition(
                        "PodScheduled", "False", "0/6 nodes are available", reason="Unschedulable"
                    ),
                )
            },
            False,
            "Unschedulable: 0/6 nodes are available",
        ),
    ],
    ids=["pull", "crash", "name", "creating", "init", "unschedulable"],
)
def test_the_reason_why_a_workload_is_not_ready_comes_from_its_pods(
    api: ApiServer, kubernetes: Kubernetes, status: Object, unsatisfiable: bool, text: str
):
    api.hold(DEPLOYMENTS, deployment_of(readyReplicas=1, updatedReplicas=2))
    api.hold(
        PODS,
        pod("web-1", "x", owner="web"),
        pod("web-2", "x", owner="web", well=False, phase="Pending", **status),
        pod("other", "x", owner="other", well=False),
    )

    seen = workload_runs(kubernetes, deployment("x", "web")).probe()

    assert (seen.unsatisfiable, seen.seen) == (unsatisfiable, f"web: 1 of 2 ready; {text}")


def test_a_long_message_keeps_its_beginning_and_its_end(api: ApiServer, kubernetes: Kubernetes):
    path = " failed to resolve reference:" * 20
    message = (
        f'Back-off pulling image "quay.io/x@sha256:{"0" * 64}": '
        f"ErrImagePull:{path} dial tcp 10.25.11.14:29999: connect: connection "
        "refused"
    )
    api.hold(DEPLOYMENTS, deployment_of(readyReplicas=1, updatedReplicas=2))
    api.hold(
        PODS,
        pod(
            "web-2",
            "x",
            owner="web",
            well=False,
            phase="Pending",
            **waiting("ImagePullBackOff", message),
        ),
    )

    seen = workload_runs(kubernetes, deployment("x", "web")).probe().seen

    assert "ImagePullBackOff: Back-off pulling image" in seen
    assert seen.endswith("dial tcp 10.25.11.14:29999: connect: connection refused")
    assert len(seen) < 450


def test_a_workload_that_was_deleted_is_final(api: ApiServer, kubernetes: Kubernetes):
    """Its release is deployed, so nothing but Flux or a person brings it back."""
    api.hold(DEPLOYMENTS)

    seen = workload_runs(kubernetes, deployment("x", "web")).probe()

    assert (seen.unsatisfiable, seen.seen) == (True, "x/web does not exist")


@pytest.mark.parametrize(
    ("conditions", "holds", "text"),
    [
        (
            (condition("NamesAccepted", "True"), condition("Established", "True")),
            True,
            f"{CRD} is established",
        ),
        (
            (
                condition("NamesAccepted", "True"),
                condition("Established", "False", "the initial names have been accepted"),
            ),
            False,
            f"{CRD} Established=False: the initial names have been accepted",
        ),
        (
            (
                condition("NamesAccepted", "False", '"certificates" is already in use'),
                condition("Established", "False"),
            ),
            False,
            f'{CRD} NamesAccepted=False: "certificates" is already in use',
        ),
        ((), False, f"{CRD} NamesAccepted=unset: no message"),
    ],
    ids=["established", "not yet", "names taken", "new"],
)
def test_a_crd_is_established_if_its_kind_is_served(
    api: ApiServer, kubernetes: Kubernetes, conditions: tuple[Object, ...], holds: bool, text: str
):
    api.hold(CRDS, item(CRD, conditions=conditions))

    seen = crd_established(kubernetes, CRD).probe()

    assert (seen.holds, seen.seen) == (holds, text)


def brings(crds: dict[str, Said]) -> HelmRecords:
    """Return records in which these releases brought these manifests."""
    return records(*(helm_secret(name, manifest=said.stdout) for name, said in crds.items()))


BROUGHT = captured("helm-get-manifests")
IDENTITIES, POOLS = CAPTURED["helm-get-manifests"]["expected"]
SERVED = (condition("NamesAccepted", "True"), condition("Established", "True"))


def crds_established(kubernetes: Kubernetes, *, some: bool = True, **crds: Said) -> Any:
    releases = [(name, "kube-system") for name in crds]
    return every_crd_established(kubernetes, brings(crds), releases, some=some)


def test_every_crd_that_a_release_brought_has_to_be_established(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(CRDS, item(IDENTITIES, conditions=SERVED), item(POOLS, conditions=SERVED))

    seen = crds_established(kubernetes, one=BROUGHT, other=BROUGHT).probe()

    assert (seen.value, seen.seen) == (4, "CRDs established: one 2, other 2")


@pytest.mark.parametrize(
    ("crds", "text"),
    [
        ([], f"2 of 2 not established; {IDENTITIES} does not exist"),
        (
            [item(IDENTITIES, conditions=SERVED)],
            f"1 of 2 not established; {POOLS} does not exist",
        ),
        (
            [item(IDENTITIES, conditions=SERVED), leaving(item(POOLS, conditions=SERVED))],
            (
                f"1 of 2 not established; {POOLS} is being deleted, "
                "once the last object of its kind is gone"
            ),
        ),
        (
            [
                item(IDENTITIES, conditions=SERVED),
                item(POOLS, conditions=(condition("NamesAccepted", "False", "in use"),)),
            ],
            f"1 of 2 not established; {POOLS} NamesAccepted=False: in use",
        ),
    ],
    ids=["none", "one missing", "being deleted", "names taken"],
)
def test_a_crd_that_a_release_brought_and_that_is_not_served_is_named(
    api: ApiServer, kubernetes: Kubernetes, crds: list[Object], text: str
):
    api.hold(CRDS, *crds)

    seen = crds_established(kubernetes, one=BROUGHT).probe()

    assert (seen.holds, seen.unsatisfiable, seen.seen) == (False, False, text)


def test_a_release_of_crds_that_brought_none_proves_nothing(kubernetes: Kubernetes):
    seen = crds_established(kubernetes, one=Said("---\nkind: ConfigMap\n")).probe()

    assert (seen.unsatisfiable, seen.seen) == (True, "release one brought no CRD")


def test_any_other_release_may_bring_no_crd(kubernetes: Kubernetes):
    seen = crds_established(kubernetes, some=False, one=Said("")).probe()

    assert (seen.value, seen.seen) == (0, "CRDs established: one 0")


def test_a_daemon_set_runs_on_every_node_of_the_definition(api: ApiServer, kubernetes: Kubernetes):
    api.hold(DAEMON_SETS, item("spegel", "kube-system"))
    api.hold(
        PODS,
        *(pod(f"spegel-{name}", node=name, owner="spegel") for name in NAMES),
        pod("other", node="elsewhere", owner="other"),
    )

    assert (
        runs_on_every_node(kubernetes, CLUSTER, daemon_set("kube-system", "spegel")).probe().value
        == CLUSTER.node_names
    )


def test_a_daemon_set_on_an_unknown_node_is_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(DAEMON_SETS, item("spegel", "kube-system"))
    api.hold(
        PODS, *(pod(f"spegel-{name}", node=name, owner="spegel") for name in [*NAMES, "stranger"])
    )

    seen = runs_on_every_node(kubernetes, CLUSTER, daemon_set("kube-system", "spegel")).probe()

    assert (seen.holds, seen.seen) == (False, "spegel runs on unknown nodes: stranger")


@pytest.mark.parametrize("how", ["absent", "unready", "leaving", "another's"])
def test_a_node_without_a_ready_pod_is_named(api: ApiServer, kubernetes: Kubernetes, how: str):
    pods = [pod(f"spegel-{name}", node=name, owner="spegel") for name in NAMES]
    if how == "absent":
        pods.pop(0)
    elif how == "leaving":
        leaving(pods[0])
    else:
        pods[0] = pod(
            "spegel-x",
            node=NAMES[0],
            owner="spegel" if how == "unready" else "other",
            well=how != "unready",
        )
    api.hold(DAEMON_SETS, item("spegel", "kube-system"))
    api.hold(PODS, *pods)

    assert (
        runs_on_every_node(kubernetes, CLUSTER, daemon_set("kube-system", "spegel")).probe().seen
        == f"spegel is not ready on {NAMES[0]}"
    )


def test_no_pod_fails_if_each_is_ready_or_has_succeeded(api: ApiServer, kubernetes: Kubernetes):
    api.hold(PODS, pod("a"), pod("job", well=False, phase="Succeeded"))

    assert no_pod_fails(kubernetes).probe().value == 2


def test_a_failing_pod_is_counted_and_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(
        PODS,
        pod("a"),
        pod("c", "x", well=False, phase="Failed"),
        pod("b", "x", well=False, **waiting("CrashLoopBackOff", "back-off 40s")),
    )

    assert (
        no_pod_fails(kubernetes).probe().seen
        == "2 of 3 pods not well; x/b: CrashLoopBackOff: back-off 40s"
    )


def test_a_cluster_without_pods_does_not_count_as_one_without_failures(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(PODS)

    assert not no_pod_fails(kubernetes).probe().holds


@pytest.mark.parametrize(
    ("kind", "name"), [(PODS, "kube-proxy-x7k2p"), (DAEMON_SETS, "kube-proxy")]
)
def test_a_pod_that_must_not_exist_is_named(
    api: ApiServer, kubernetes: Kubernetes, kind: Any, name: str
):
    api.hold(PODS, pod("cilium-1"))
    api.hold(DAEMON_SETS, item("cilium", "kube-system"))
    assert no_pod_named(kubernetes, "kube-system", "kube-proxy").probe().holds

    api.hold(kind, item(name, "kube-system"))

    seen = no_pod_named(kubernetes, "kube-system", "kube-proxy").probe()
    assert (seen.unsatisfiable, seen.seen) == (True, f"{name} exists in kube-system")


def test_a_config_map_contains_the_expected_values_or_the_others_are_named(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(
        CONFIG_MAPS,
        {**item("cilium-config", "kube-system"), "data": {"cluster-id": "2", "other": "x"}},
    )

    seen = config_map_contains(
        kubernetes, "kube-system", "cilium-config", {"cluster-id": "1", "cluster-name": "infra"}
    ).probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        "cilium-config: cluster-id is 2, not 1; cluster-name is unset, not infra",
    )
    assert config_map_contains(
        kubernetes, "kube-system", "cilium-config", {"cluster-id": "2"}
    ).probe().value == {"cluster-id": "2"}


def nodes(*names: str, status: str = "True", message: str = "") -> list[Object]:
    return [item(name, conditions=ready(status, message)) for name in names]


def test_nodes_are_counted_by_name(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, *nodes(*NAMES[1:], "talos-x1y-2z3"))

    assert (
        every_node_registered(kubernetes, CLUSTER).probe().seen
        == f"6 of 6 registered; missing {NAMES[0]}"
    )
    assert (
        every_node_ready(kubernetes, CLUSTER).probe().seen
        == f"6 of 6 Ready; {NAMES[0]}: not registered"
    )


def test_an_unknown_node_is_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, *nodes(*NAMES, "talos-x1y-2z3"))

    assert (
        every_node_registered(kubernetes, CLUSTER).probe().seen
        == "unknown nodes registered: talos-x1y-2z3"
    )


def test_the_reason_why_a_node_is_not_ready_is_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(
        NODES,
        *nodes(*NAMES[1:]),
        *nodes(NAMES[0], status="False", message="cni plugin not initialized"),
    )

    assert (
        every_node_ready(kubernetes, CLUSTER).probe().seen
        == f"5 of 6 Ready; {NAMES[0]}: cni plugin not initialized"
    )
    api.hold(NODES, *nodes(*NAMES))
    assert every_node_ready(kubernetes, CLUSTER).probe().value == CLUSTER.node_names


def cordoned(name: str, **annotations: str) -> Object:
    node = item(name, conditions=ready(), spec={"unschedulable": True})
    node["metadata"]["annotations"] = annotations
    return node


def test_a_node_that_somebody_cordoned_is_final(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, *nodes(*NAMES[2:]), *map(cordoned, NAMES[:2]))

    seen = every_node_ready(kubernetes, CLUSTER).probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        f"cordoned, so no new pod runs there: kubectl uncordon {NAMES[0]} {NAMES[1]}",
    )
    assert seen.rows == ("FL-252",)


def test_a_node_that_talos_cordoned_is_waited_for(api: ApiServer, kubernetes: Kubernetes):
    by_talos = cordoned(NAMES[0], **{"talos.dev/cordoned": "true"})
    api.hold(NODES, *nodes(*NAMES[1:]), by_talos)

    seen = every_node_ready(kubernetes, CLUSTER).probe()

    assert (seen.holds, seen.unsatisfiable, seen.rows) == (False, False, ("FL-252",))
    assert seen.seen == (
        f"cordoned by Talos, so no new pod runs there: kubectl uncordon {NAMES[0]}"
    )


def test_a_change_in_the_watch_triggers_the_next_check(api: ApiServer, kubernetes: Kubernetes):
    """The list is read again at once, not at the end of the watch."""
    api.hold(
        NODES, *nodes(*NAMES, status="Unknown", message="Kubelet stopped posting node status.")
    )

    def turn_ready(handler: Any) -> None:
        api.hold(NODES, *nodes(*NAMES))
        event("MODIFIED", {})(handler)

    api.special["watch"] = turn_ready
    clock = FakeClock()

    value, waited = wait_for(every_node_ready(kubernetes, CLUSTER), budget_s=60, clock=clock)

    assert value == CLUSTER.node_names
    assert waited.attempts == 2
    assert clock.seconds <= 0.1


def test_a_server_that_closes_every_watch_at_once_is_not_asked_without_pause(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(NODES)
    api.special["watch"] = ended
    clock = FakeClock()

    with pytest.raises(NotReady):
        wait_for(every_node_ready(kubernetes, CLUSTER), budget_s=2, clock=clock)

    assert len([path for path in api.asked if "watch" not in path]) <= 22


@pytest.mark.parametrize(
    ("code", "final"), [(401, True), (403, True), (429, False), (500, False), (503, False)]
)
def test_a_permanent_refusal_ends_a_wait(
    api: ApiServer, kubernetes: Kubernetes, code: int, final: bool
):
    api.special["/api/v1/nodes"] = refusal(code, "you shall not pass")

    with pytest.raises(
        ApiRefused if final else NotReady,
        match=f"the API server said {code} .*: you shall not pass",
    ):
        wait_for(every_node_ready(kubernetes, CLUSTER), budget_s=2, clock=FakeClock())


def test_a_restarting_api_server_is_waited_for(api: ApiServer, kubernetes: Kubernetes):
    answers = [refusal(503), refusal(500)]

    def restart(handler: Any) -> None:
        if answers:
            answers.pop()(handler)
        else:
            handler.json(200, {"metadata": {"resourceVersion": "7"}, "items": nodes(*NAMES)})

    api.special["/api/v1/nodes"] = restart

    value, waited = wait_for(every_node_ready(kubernetes, CLUSTER), budget_s=60, clock=FakeClock())

    assert (value, waited.attempts) == (CLUSTER.node_names, 3)


def test_the_api_answers_if_readyz_returns_ok(api: ApiServer, kubernetes: Kubernetes):
    assert kubernetes_api_answers(kubernetes, CLUSTER).probe().value == "ok"

    api.special["/readyz"] = lambda handler: handler.send(
        200, b"[+]ping ok\n[-]etcd failed", "text/plain"
    )

    assert not kubernetes_api_answers(kubernetes, CLUSTER).probe().holds


def test_a_vip_without_an_owner_is_reported_with_the_reason(api: ApiServer):
    port = int(api.url.rsplit(":", 1)[1])
    here = CLUSTER.__class__(
        **{**{name: getattr(CLUSTER, name) for name in CLUSTER.__slots__}, "vip": "127.0.0.1"}
    )

    assert vip_accepts_connections(here, port).probe().value == f"127.0.0.1:{port}"
    assert vip_accepts_connections(here, 1).probe().seen == "127.0.0.1:1: Connection refused"


def test_an_unreachable_server_is_an_observation(kubernetes: Kubernetes, api: ApiServer):
    api.special["/api/v1/nodes"] = lambda handler: handler.hang_up()

    with pytest.raises(ApiUnavailable):
        every_node_ready(kubernetes, CLUSTER).probe()
    # Only once: the wait decides about the next attempt.
    assert api.asked == ["/api/v1/nodes"]


def failing(container: str, *, init: bool = False, **last: Any) -> Object:
    made = pod("web-1", "x", owner="web", well=False)
    made["status"]["initContainerStatuses" if init else "containerStatuses"] = [
        {
            "name": container,
            "state": {
                "waiting": {
                    "reason": "CrashLoopBackOff",
                    "message": f"back-off 10s restarting failed container={container}",
                }
            },
            "lastState": {"terminated": {"reason": "Error", "exitCode": 1, **last}},
        }
    ]
    return made


def test_a_crash_loop_is_reported_with_the_last_termination(api: ApiServer, kubernetes: Kubernetes):
    api.hold(DEPLOYMENTS, deployment_of(1))
    api.hold(
        PODS,
        failing(
            "agent", message="line one\ndial tcp 127.0.0.1:7445: connect: connection refused\n"
        ),
    )

    seen = workload_runs(kubernetes, deployment("x", "web")).probe().seen

    assert seen == (
        "web: 0 of 1 ready; CrashLoopBackOff: back-off 10s restarting failed "
        "container=agent; agent ended with Error, exit code 1: "
        "line one dial tcp 127.0.0.1:7445: connect: connection refused"
    )


def test_a_container_that_never_started_is_reported_with_the_message_of_the_runtime(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(DEPLOYMENTS, deployment_of(1))
    api.hold(
        PODS,
        failing(
            "clean", init=True, reason="StartError", exitCode=128, message="unable to apply caps"
        ),
    )

    seen = workload_runs(kubernetes, deployment("x", "web")).probe().seen

    assert seen.endswith("; clean ended with StartError, exit code 128: unable to apply caps")


def refused(kind: str, name: str, message: str, *, at: str = "2026-11-23T07:40:00Z") -> Object:
    """Return the event of a controller that could not create a pod."""
    about = {"kind": kind, "namespace": "x", "name": name}
    return {
        **item(f"{name}.{at}", "x"),
        "reason": "FailedCreate",
        "message": message,
        "involvedObject": about,
        "lastTimestamp": at,
    }


def test_rejected_pods_are_reported_from_their_events(api: ApiServer, kubernetes: Kubernetes):
    api.hold(DEPLOYMENTS, deployment_of(1))
    api.hold(PODS)
    api.hold(
        EVENTS,
        refused(
            "ReplicaSet",
            "web-5d4",
            'violates PodSecurity "baseline:latest"',
            at="2026-11-23T07:41:00Z",
        ),
        refused("ReplicaSet", "web-77f", "what was the matter before"),
        refused("ReplicaSet", "web-admin-5d4", "another Deployment's", at="2026-11-23T07:42:00Z"),
        refused("StatefulSet", "web-5d4", "another kind's", at="2026-11-23T07:42:00Z"),
    )

    seen = workload_runs(kubernetes, deployment("x", "web")).probe().seen

    assert seen == 'web: 0 of 1 ready; FailedCreate: violates PodSecurity "baseline:latest"'


def test_events_of_a_daemon_set_with_a_longer_name_are_ignored(
    api: ApiServer, kubernetes: Kubernetes
):
    api.hold(DAEMON_SETS, set_of(6))
    api.hold(PODS)
    others = [
        refused("ReplicaSet", "agent-5d4", "a Deployment's"),
        refused("DaemonSet", "agent-envoy", "another DaemonSet's"),
    ]
    api.hold(EVENTS, *others)

    without = workload_runs(kubernetes, daemon_set("x", "agent")).probe().seen
    api.hold(EVENTS, refused("DaemonSet", "agent", "its own"), *others)

    assert without == "agent: 0 of 6 ready"
    assert (
        workload_runs(kubernetes, daemon_set("x", "agent")).probe().seen
        == "agent: 0 of 6 ready; FailedCreate: its own"
    )


def test_only_the_workloads_of_a_release_explain_why_it_is_not_ready(
    api: ApiServer, kubernetes: Kubernetes
):
    ours, other = deployment_of(2, readyReplicas=1, updatedReplicas=2), deployment_of(2)
    ours["metadata"]["annotations"] = {RELEASE: "web", RELEASE_NAMESPACE: "x"}
    other["metadata"]["name"] = "other"
    api.hold(DEPLOYMENTS, ours, other)
    api.hold(DAEMON_SETS)
    api.hold(PODS)

    assert unready_workloads(kubernetes, "web", "x") == ["web: 1 of 2 ready"]
    assert unready_workloads(kubernetes, "web", "y") == []


def test_an_unknown_ready_node_is_named(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, *(item(name, conditions=ready()) for name in [*NAMES, "stranger"]))

    seen = every_node_ready(kubernetes, CLUSTER).probe()

    assert (seen.holds, seen.seen) == (False, "unknown nodes are Ready: stranger")
