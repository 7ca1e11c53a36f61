"""flux: the CLI's own verdicts on its controllers and objects."""

from __future__ import annotations

from pathlib import Path

from firstlight.tools.classification import Class, Rule
from firstlight.tools.process import CommandResult
from firstlight.tools.runner import Runner

CHECK_S = 60.0

RULES: tuple[Rule, ...] = (
    Rule(r"no controllers found in the '.*' namespace", Class.RETRY, "FL-063"),
    Rule(r"connection refused|\bEOF\b|i/o timeout", Class.RETRY, "FL-025"),
    # The controllers are there and not ready yet, or a CRD is not: both come about by themselves.
    Rule(r"\u2717 .*(deployment not ready|not found|InProgress|timeout)", Class.RETRY, "FL-063"),
)


class Flux:
    """Ask one cluster's Flux."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._base = ["flux", "--kubeconfig", str(kubeconfig), "--context", context]

    def check(self, *, timeout_s: float = CHECK_S) -> CommandResult:
        """Run `flux check`; the caller judges the answer."""
        return self._runner.run([*self._base, "check", "--timeout", f"{timeout_s:.0f}s"], timeout_s=timeout_s + 10)

    def get_all(self) -> CommandResult:
        """Run `flux get all -A`; the caller judges the answer."""
        return self._runner.run([*self._base, "get", "all", "--all-namespaces"], timeout_s=CHECK_S)
