"""flux: the CLI's view of its controllers and objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firstlight.process import CommandResult
from firstlight.tools.runner import Runner

CHECK_S = 60.0


_SOURCES = {
    "gitrepository": "source git",
    "ocirepository": "source oci",
    "helmrepository": "source helm",
    "helmchart": "source chart",
    "bucket": "source bucket",
}
"""What `flux resume` calls the kinds of sources; it knows the others by their own names."""


class Flux:
    """Runs flux on one cluster."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._base = ["flux", "--kubeconfig", str(kubeconfig), "--context", context]

    def check(self, *, timeout_s: float = CHECK_S) -> CommandResult:
        """Run `flux check`; the caller judges the answer."""
        return self._runner.run(
            [*self._base, "check", "--timeout", f"{timeout_s:.0f}s"], timeout_s=timeout_s + 10
        )

    def get_all(self) -> CommandResult:
        """Run `flux get all -A`; the caller judges the answer."""
        return self._runner.run([*self._base, "get", "all", "--all-namespaces"], timeout_s=CHECK_S)


@dataclass(frozen=True, slots=True)
class FluxObject:
    """An object in the output of `flux get`.

    Attributes:
        namespace: Its namespace.
        name: Its kind and name, such as `helmrelease/cilium`.
        ready: `True`, `False` or `Unknown`.
        suspended: Whether Flux ignores it for now.
        message: The message of its controller.
    """

    namespace: str
    name: str
    ready: str
    suspended: bool
    message: str


def resume_command(name: str, namespace: str) -> str:
    """Return the command that lets Flux reconcile a suspended object again.

    Args:
        name: Its kind and name, such as `helmrelease/cilium`.
        namespace: Its namespace.
    """
    kind, _, own_name = name.partition("/")
    return f"flux resume {_SOURCES.get(kind, kind)} {own_name} --namespace {namespace}"


def parse_objects(text: str) -> list[FluxObject]:
    """Read the tables of `flux get all -A`: one per kind with a heading, cells separated by tabs.

    Alerts and providers have no READY column, because they are only configuration.
    """
    objects: list[FluxObject] = []
    heading: list[str] = []
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.split("\t")]
        if cells[0] == "NAMESPACE":
            heading = cells
        elif (
            cells[0]
            and "READY" in heading
            and "NAME" in heading
            and len(cells) > heading.index("READY")
        ):
            row = dict(zip(heading, cells, strict=False))
            objects.append(
                FluxObject(
                    row["NAMESPACE"],
                    row["NAME"],
                    row["READY"],
                    row.get("SUSPENDED") == "True",
                    row.get("MESSAGE", ""),
                )
            )
    return objects


def parse_failures(text: str) -> list[str]:
    """Return the distinct failures on standard error; `flux get` exits with zero despite them."""
    return list(
        dict.fromkeys(
            line.removeprefix("\u2717").strip()
            for line in text.split("\n")
            if line.startswith("\u2717")
        )
    )
