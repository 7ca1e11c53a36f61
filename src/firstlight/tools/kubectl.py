"""kubectl: apply manifests, server side, from standard input or a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from firstlight.process import CommandResult
from firstlight.tools.objects import Object
from firstlight.tools.reading import read_json
from firstlight.tools.runner import Runner

APPLY_S = 60.0
LOOK_S = 30.0

FIELD_MANAGER = "kustomize-controller"
"""Flux's own field manager: what bootstrap applies under this name, Flux takes over without a conflict."""


class Kubectl:
    """Talk to one cluster through one kubeconfig."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._base = ["kubectl", "--kubeconfig", str(kubeconfig), "--context", context]

    @property
    def apply_command(self) -> list[str]:
        """The argument list that applies the manifests on standard input."""
        return [
            *self._base,
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager",
            FIELD_MANAGER,
            "--filename",
            "-",
        ]

    def apply(self, manifests: str, what: str, *, secret: bool = False) -> CommandResult:
        """Apply manifests server side; what is secret goes through the pipe and is told to nobody.

        Raises:
            ToolFailed: The API server did not take them.
        """
        result = self._runner.run(
            self.apply_command, input=manifests, timeout_s=APPLY_S, changes=True, quiet=secret
        )
        return result.raise_on_failure(f"apply {what}")

    def kustomize(self, folder: Path) -> str:
        """Return the manifests that a folder's kustomization makes.

        Raises:
            ToolFailed: The folder has none, or it is wrong.
        """
        result = self._runner.run(
            ["kubectl", "kustomize", str(folder)], timeout_s=APPLY_S, quiet=True
        )
        return result.raise_on_failure(f"build the kustomization {folder}").stdout

    def run_once(self, pod: Object, *, timeout_s: float) -> CommandResult:
        """Run a pod to its end, read what it printed and remove it; the caller judges that, or the first step that failed.

        The result has the exit code of the pod's command. It is not attached to: one that ends at once has ended before anybody listens. One of that name that an earlier run has left is
        removed first.

        Args:
            pod: The pod, with name and namespace; its only container has the command.
            timeout_s: How long it may take from being made to its end.
        """
        name, base = (
            str(pod["metadata"]["name"]),
            [*self._base, "--namespace", str(pod["metadata"]["namespace"])],
        )
        ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
        removing = [
            *base,
            "delete",
            "pod",
            name,
            "--ignore-not-found",
            "--wait",
            f"--timeout={APPLY_S:.0f}s",
        ]
        result = self._runner.run(removing, timeout_s=APPLY_S + 5, changes=True)
        if not result.ok:
            return result
        try:
            result = self._runner.run(
                [*base, "create", "--filename", "-"],
                input=json.dumps(pod),
                timeout_s=LOOK_S,
                changes=True,
            )
            if result.ok:
                waited = self._runner.run(
                    [*base, "wait", f"pod/{name}", ended, f"--timeout={timeout_s:.0f}s"],
                    timeout_s=timeout_s + 5,
                )
                result = self._outcome(base, pod, waited)
        finally:
            self._runner.run(removing, timeout_s=APPLY_S + 5, changes=True)
        return result

    def _outcome(self, base: list[str], pod: Object, waited: CommandResult) -> CommandResult:
        """Return what a pod printed, or how its command ended if not well, or what has kept it from its end."""
        name = str(pod["metadata"]["name"])
        looked = self._runner.run(
            [*base, "get", "pod", name, "--output", "json"], timeout_s=LOOK_S, quiet=True
        )
        if not looked.ok:
            return looked if waited.ok else waited
        statuses = read_json(looked.stdout, f"pod {name}").get("status", {}).get(
            "containerStatuses"
        ) or [{}]
        state = statuses[0].get("state") or {}
        ended = state.get("terminated")
        if ended is None:
            held = state.get("waiting") or {}
            return replace(
                waited,
                stderr="; ".join(
                    filter(None, (waited.last_line, _told(held.get("reason"), held.get("message"))))
                ),
            )
        logs = self._runner.run([*base, "logs", name], timeout_s=LOOK_S)
        if ended["exitCode"] == 0:
            return logs
        # A container that did not even start printed nothing: the runtime says why.
        said = ended.get("message") or (
            logs.output_tail[-1] if logs.ok and logs.output_tail else ""
        )
        command = pod["spec"]["containers"][0]["command"][0]
        how = f"{command} ended with exit code {ended['exitCode']}, {_told(ended.get('reason'), said)}"
        return replace(logs, exit_code=ended["exitCode"], stderr=how)

    def dry_run(self, manifests: str) -> CommandResult:
        """Ask the API server whether it would take manifests, webhooks and all; the caller judges the answer."""
        return self._runner.run(
            [*self._base, "create", "--dry-run=server", "--filename", "-"],
            input=manifests,
            timeout_s=LOOK_S,
        )


def _told(reason: object, message: object) -> str:
    return ": ".join(filter(None, (str(reason or ""), " ".join(str(message or "").split()))))
