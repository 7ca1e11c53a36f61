"""cilium: the CLI, and the agents that it asks."""

from __future__ import annotations

from pathlib import Path

from firstlight.tools.process import CommandResult
from firstlight.tools.reading import read_json
from firstlight.tools.runner import Runner

LOOK_S = 60.0

CONNECTIVITY_S = 1200.0
"""The whole suite: Talos's own end-to-end test gives it twenty minutes."""


class Cilium:
    """Ask one cluster's Cilium."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._env = {"KUBECONFIG": str(kubeconfig)}
        self._base = ["cilium", "--context", context]

    def status(self) -> CommandResult:
        """Run `cilium status --wait` once, for a minute at most; the caller judges the answer."""
        words = [*self._base, "status", "--wait", "--wait-duration", f"{LOOK_S:.0f}s"]
        return self._runner.run(words, env=self._env, timeout_s=LOOK_S + 10)

    def agent_status(self) -> CommandResult:
        """Ask one agent for its status as JSON; the caller judges the answer."""
        words = ["kubectl", "--context", self._base[2], "--namespace", "kube-system", "exec", "daemonset/cilium", "--container", "cilium-agent"]
        return self._runner.run([*words, "--", "cilium-dbg", "status", "--output", "json"], env=self._env, timeout_s=LOOK_S, quiet=True)

    def config(self) -> CommandResult:
        """Read the agents' configuration; the caller judges the answer."""
        return self._runner.run([*self._base, "config", "view"], env=self._env, timeout_s=LOOK_S, quiet=True)

    def connectivity_test(self) -> CommandResult:
        """Run the connectivity test; the caller judges the answer. It makes its own namespaces and leaves them to the next run to clear."""
        labels = "pod-security.kubernetes.io/enforce=privileged,pod-security.kubernetes.io/warn=privileged"
        words = [*self._base, "connectivity", "test", "--namespace-labels", labels, "--timeout", f"{CONNECTIVITY_S:.0f}s"]
        return self._runner.run(words, env=self._env, timeout_s=CONNECTIVITY_S + 60, changes=True)


def parse_replacement(text: str) -> str:
    """Read how far an agent replaces kube-proxy from `cilium-dbg status --output json`, `unset` when it does not say.

    Raises:
        Unreadable: It is no JSON.
    """
    status = read_json(text, "what the Cilium agent says")
    replacement = status.get("kube-proxy-replacement") if isinstance(status, dict) else None
    return str(replacement.get("mode", "unset")) if isinstance(replacement, dict) else "unset"
