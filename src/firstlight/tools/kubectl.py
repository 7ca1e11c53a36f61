"""kubectl: apply manifests server side, and run a pod once."""

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
"""Flux's own field manager, so that Flux takes over what is applied without a conflict."""


class Kubectl:
    """Runs kubectl on one cluster."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._base = ["kubectl", "--kubeconfig", str(kubeconfig), "--context", context]

    @property
    def apply_command(self) -> list[str]:
        """The argument list that applies the manifests on standard input."""
        words = ["apply", "--server-side", "--force-conflicts", "--field-manager", FIELD_MANAGER]
        return [*self._base, *words, "--filename", "-"]

    def apply(self, manifests: str, what: str, *, secret: bool = False) -> CommandResult:
        """Apply manifests server side; the output of secret ones appears in no event.

        Raises:
            ToolFailed: The API server refused them.
        """
        result = self._runner.run(
            self.apply_command, input=manifests, timeout_s=APPLY_S, changes=True, quiet=secret
        )
        return result.raise_on_failure(f"apply {what}")

    def kustomize(self, folder: Path) -> str:
        """Return the manifests of a folder's kustomization.

        Raises:
            ToolFailed: The folder has no kustomization, or an invalid one.
        """
        result = self._runner.run(
            ["kubectl", "kustomize", str(folder)], timeout_s=APPLY_S, quiet=True
        )
        return result.raise_on_failure(f"build the kustomization {folder}").stdout

    def run_pod(self, pod: Object, *, timeout_s: float) -> CommandResult:
        """Run a pod until it ends, read its output and remove it; the caller judges the result.

        The result has the exit code of the pod's command, or is that of the first step that failed.
        The pod's logs are read afterwards, because attaching may come too late. A pod of the same
        name from an earlier run is removed first.

        Args:
            pod: The pod, with name and namespace, and with one container that has a command.
            timeout_s: Time from creation to the end of the pod, in seconds.
        """
        name, base = (
            str(pod["metadata"]["name"]),
            [*self._base, "--namespace", str(pod["metadata"]["namespace"])],
        )
        ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
        removing = [*base, "delete", "pod", name, "--ignore-not-found", "--wait"]
        removing.append(f"--timeout={APPLY_S:.0f}s")
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
        """Return the pod's output, how its command failed, or what keeps it from ending."""
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
                    filter(
                        None, (waited.last_line, _reason(held.get("reason"), held.get("message")))
                    )
                ),
            )
        logs = self._runner.run([*base, "logs", name], timeout_s=LOOK_S)
        if ended["exitCode"] == 0:
            return logs
        # A container that did not even start has no output; the runtime says why.
        why = ended.get("message") or (logs.output_tail[-1] if logs.ok and logs.output_tail else "")
        command = pod["spec"]["containers"][0]["command"][0]
        reason = _reason(ended.get("reason"), why)
        how = f"{command} ended with exit code {ended['exitCode']}, {reason}"
        return replace(logs, exit_code=ended["exitCode"], stderr=how)

    def dry_run(self, manifests: str) -> CommandResult:
        """Ask the API server, including its webhooks, whether it would accept manifests."""
        return self._runner.run(
            [*self._base, "create", "--dry-run=server", "--filename", "-"],
            input=manifests,
            timeout_s=LOOK_S,
        )


def _reason(reason: object, message: object) -> str:
    return ": ".join(filter(None, (str(reason or ""), " ".join(str(message or "").split()))))
