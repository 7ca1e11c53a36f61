"""kind's command line: the one place that knows its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from firstlight.tools.process import CommandResult, run

CREATE_S = 900.0
"""Six nodes take two minutes once the node image is there; a slow registry may need ten for it."""

DELETE_S = 180.0
_CALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """kind, for one cluster on one network of the engine.

    Attributes:
        program: The pinned command.
        name: What kind calls the cluster.
        network: The engine's network that its containers are on.
        kubeconfig: Where it keeps its own kubeconfig: never the operator's.
        environment: How it reaches the engine.
    """

    program: Path
    name: str
    network: str
    kubeconfig: Path
    environment: Mapping[str, str]

    def exists(self) -> bool:
        """Whether kind knows the cluster, whole or half made."""
        listed = self._call("get", "clusters").raise_on_failure("list kind's clusters")
        return self.name in listed.stdout.split()

    def create(self, config: Path, on_line: Callable[[str], None]) -> None:
        """Make the cluster; no node is waited for, as none can be Ready without a CNI."""
        words = (
            "create",
            "cluster",
            "--name",
            self.name,
            "--config",
            str(config),
            "--kubeconfig",
            str(self.kubeconfig),
            "--wait",
            "0s",
        )
        self._call(*words, timeout_s=CREATE_S, on_line=on_line).raise_on_failure(
            f"make the kind cluster {self.name}"
        )

    def delete(self) -> None:
        """Remove the cluster with all of its containers and volumes."""
        words = ("delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
        self._call(*words, timeout_s=DELETE_S).raise_on_failure(
            f"remove the kind cluster {self.name}"
        )

    def kubeconfig_text(self) -> str:
        """Return the administrator's kubeconfig."""
        return (
            self._call("get", "kubeconfig", "--name", self.name)
            .raise_on_failure(f"read the kubeconfig of the kind cluster {self.name}")
            .stdout
        )

    def _call(
        self, *words: str, timeout_s: float = _CALL_S, on_line: Callable[[str], None] | None = None
    ) -> CommandResult:
        environment = {
            **self.environment,
            "KIND_EXPERIMENTAL_DOCKER_NETWORK": self.network,
            "KIND_EXPERIMENTAL_PROVIDER": "docker",
        }
        return run(
            [str(self.program), *words], timeout_s=timeout_s, env=environment, on_line=on_line
        )
