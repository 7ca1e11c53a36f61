"""cilium: the CLI, and the agents."""

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
"""The CLI's namespace for test workloads: its prefix and the number of the concurrent run."""

PRIVILEGED = (
    "pod-security.kubernetes.io/enforce=privileged,pod-security.kubernetes.io/warn=privileged"
)
"""The test's clients send raw packets, which Talos's default standard, baseline, forbids."""

LEFT_OUT = {
    "check-log-errors": (
        "it fails on any error in the logs since Cilium started, and API servers restart while a "
        "control plane forms; Talos's own tests leave it out too"
    )
}
"""Parts of the connectivity test that are left out on every target, and why."""

CONNECTIVITY_S = 1500.0
"""Talos's own end-to-end test allows 20 minutes; six machines on two cores took ten."""

REMOVAL_S = 180.0
"""A namespace is deleted after its pods, whose grace period is half a minute."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The configuration of a running agent.

    Attributes:
        cluster_id: The cluster's number, or `unset`.
        cluster_name: The cluster's name, or `unset`.
        bgp: Whether its BGP control plane is enabled.
    """

    cluster_id: str
    cluster_name: str
    bgp: bool


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The status of a running agent.

    Attributes:
        state: `Ok`, or its state and message.
        replacement: Whether it replaces kube-proxy: `True`, `False` or `unset`.
        node: The name of its own node, as `cluster/node`.
    """

    state: str
    replacement: str
    node: str


class Cilium:
    """Runs the Cilium CLI on one cluster."""

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
        """Read an agent's status as JSON; the caller judges the answer."""
        return self._in_agent(pod, "cilium-dbg", "status", "--output", "json")

    def agent_config(self, pod: str) -> CommandResult:
        """Read an agent's configuration as JSON; the caller judges the answer."""
        return self._in_agent(pod, "cilium-dbg", "config", "--read-only", "--output", "json")

    def connectivity_test(self, flags: Sequence[str]) -> CommandResult:
        """Run the connectivity test with verbose output; the caller judges the answer.

        Args:
            flags: The target's flags, such as its images and its stand-in for the internet.
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
        """Delete the namespace of a connectivity test and wait; the caller judges the answer."""
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
        Unreadable: It is something else.
    """
    status = _object(text, "the status of the Cilium agent")
    own = _part(status, "cilium")
    state, message = str(own.get("state", "unset")), str(own.get("msg", ""))
    return AgentStatus(
        state=state if state == "Ok" or not message else f"{state}: {message}",
        replacement=str(_part(status, "kube-proxy-replacement").get("mode", "unset")),
        node=_part_text(_part(status, "cluster"), "self"),
    )


def parse_agent_config(text: str) -> AgentConfig:
    """Read `cilium-dbg config --read-only --output json`.

    Raises:
        Unreadable: It is something else.
    """
    config = _object(text, "the configuration of the Cilium agent")
    return AgentConfig(
        cluster_id=_part_text(config, "ClusterID"),
        cluster_name=_part_text(config, "ClusterName"),
        bgp=config.get("EnableBGPControlPlane") is True,
    )


def _object(text: str, what: str) -> dict[str, Any]:
    found = read_json(text, what)
    if not isinstance(found, dict):
        raise Unreadable(what, "it is not an object", failure_class=FailureClass.RETRY)
    return found


def _part(of: dict[str, Any], key: str) -> dict[str, Any]:
    found = of.get(key)
    return found if isinstance(found, dict) else {}


def _part_text(of: dict[str, Any], key: str) -> str:
    return str(of.get(key, "unset"))
