"""cilium: the CLI, and the agents that it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.failures import FailureClass
from firstlight.process import CommandResult
from firstlight.tools.reading import Unreadable, read_json
from firstlight.tools.runner import Runner

NAMESPACE = "kube-system"

LOOK_S = 60.0

TEST_NAMESPACE = "cilium-test-1"
"""Where the CLI makes its test workloads: its own prefix, and the number of its only concurrent run."""

PRIVILEGED = (
    "pod-security.kubernetes.io/enforce=privileged,pod-security.kubernetes.io/warn=privileged"
)
"""Talos enforces the baseline standard, which the test's clients do not keep: they send raw packets."""

LEFT_OUT = {
    "check-log-errors": "it wants no error in any log since Cilium started, and API servers restart while a control plane forms; Talos's own tests leave it out too"
}
"""Tests of the connectivity test that a bootstrap leaves out on every target, and why."""

CONNECTIVITY_S = 1500.0
"""The whole suite: Talos's own end-to-end test gives it twenty minutes; six machines on two cores took ten."""

REMOVAL_S = 180.0
"""A namespace goes when its pods have: their grace period is half a minute, and every node has some."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What a running agent says that it runs with.

    Attributes:
        cluster_id: The cluster's number, `unset` when it does not say.
        cluster_name: The cluster's name, likewise.
        bgp: Whether its BGP control plane is on.
    """

    cluster_id: str
    cluster_name: str
    bgp: bool


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What a running agent says of itself.

    Attributes:
        state: Its own verdict, `Ok` when all is well, with its words when it is not.
        replacement: How far it replaces kube-proxy: `True`, `False`, `unset`.
        node: The name under which it knows its own node, `cluster/node`.
    """

    state: str
    replacement: str
    node: str


class Cilium:
    """Ask one cluster's Cilium."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._env = {"KUBECONFIG": str(kubeconfig)}
        self._base = ["cilium", "--context", context]
        self._kubectl = ["kubectl", "--context", context, "--namespace", NAMESPACE]

    def status(self) -> CommandResult:
        """Run `cilium status --wait` once, for a minute at most; the caller judges the answer."""
        words = [
            *self._base,
            "status",
            "--wait",
            "--interactive=false",
            "--wait-duration",
            f"{LOOK_S:.0f}s",
        ]
        return self._runner.run(words, env=self._env, timeout_s=LOOK_S + 10)

    def agent_status(self, pod: str) -> CommandResult:
        """Ask an agent for its status as JSON; the caller judges the answer."""
        return self._in_agent(pod, "cilium-dbg", "status", "--output", "json")

    def agent_config(self, pod: str) -> CommandResult:
        """Ask an agent for the configuration that it runs with, as JSON; the caller judges the answer."""
        return self._in_agent(pod, "cilium-dbg", "config", "--read-only", "--output", "json")

    def connectivity_test(self, flags: Sequence[str]) -> CommandResult:
        """Run the connectivity test, each scenario said as it comes; the caller judges the answer.

        Args:
            flags: What the target needs: its images, what it takes for the internet.
        """
        words = [
            *self._base,
            "connectivity",
            "test",
            "--verbose",
            "--timeout",
            f"{CONNECTIVITY_S:.0f}s",
        ]
        words += [
            "--namespace-labels",
            PRIVILEGED,
            *(word for test in LEFT_OUT for word in ("--test", f"!{test}")),
            *flags,
        ]
        return self._runner.run(words, env=self._env, timeout_s=CONNECTIVITY_S + 60, changes=True)

    def remove_test_namespace(self) -> CommandResult:
        """Remove what a connectivity test leaves, or an earlier one has left, and wait until it is gone; the caller judges the answer."""
        words = [
            *self._kubectl[:3],
            "delete",
            "namespace",
            TEST_NAMESPACE,
            "--ignore-not-found",
            "--wait",
            f"--timeout={REMOVAL_S:.0f}s",
        ]
        return self._runner.run(words, env=self._env, timeout_s=REMOVAL_S + 10, changes=True)

    def _in_agent(self, pod: str, *words: str) -> CommandResult:
        command = [*self._kubectl, "exec", pod, "--container", "cilium-agent", "--", *words]
        return self._runner.run(command, env=self._env, timeout_s=LOOK_S, quiet=True)


def parse_agent_status(text: str) -> AgentStatus:
    """Read `cilium-dbg status --output json`.

    Raises:
        Unreadable: It is no status.
    """
    status = _object(text, "what the Cilium agent says of itself")
    own = _part(status, "cilium")
    state, said = str(own.get("state", "unset")), str(own.get("msg", ""))
    return AgentStatus(
        state=state if state == "Ok" or not said else f"{state}: {said}",
        replacement=str(_part(status, "kube-proxy-replacement").get("mode", "unset")),
        node=_part_text(_part(status, "cluster"), "self"),
    )


def parse_agent_config(text: str) -> AgentConfig:
    """Read `cilium-dbg config --read-only --output json`.

    Raises:
        Unreadable: It is no configuration.
    """
    config = _object(text, "what the Cilium agent runs with")
    return AgentConfig(
        cluster_id=_part_text(config, "ClusterID"),
        cluster_name=_part_text(config, "ClusterName"),
        bgp=config.get("EnableBGPControlPlane") is True,
    )


def _object(text: str, what: str) -> dict[str, Any]:
    found = read_json(text, what)
    if not isinstance(found, dict):
        raise Unreadable(what, "it is no object", failure_class=FailureClass.RETRY)
    return found


def _part(of: dict[str, Any], key: str) -> dict[str, Any]:
    found = of.get(key)
    return found if isinstance(found, dict) else {}


def _part_text(of: dict[str, Any], key: str) -> str:
    return str(of.get(key, "unset"))
