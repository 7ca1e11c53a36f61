"""talosctl: the Talos API's client, one method per verb that we use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstlight.failures import FailureClass
from firstlight.process import CommandResult, ToolFailed
from firstlight.tools.reading import Unreadable, read_yaml_documents
from firstlight.tools.runner import Runner

PROBE_S = 25.0
"""One look at a machine: gRPC itself gives up an unreachable one after twenty seconds, and only then says why."""


_NOT_ASKED = re.compile(r"code = (Unavailable|Canceled|DeadlineExceeded)")
"""What talosctl says when it did not get through to a machine, or was stopped; what a machine itself could not do has another code."""


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """A member as etcd lists it."""

    id: str
    hostname: str
    learner: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A Talos service on one machine.

    Attributes:
        node: The machine's address.
        name: The service.
        state: Talos's own word: `Running`, `Preparing`, `Failed`, `Finished` ...
        health: `OK`, `Fail`, or `?` for a service without a health check.
        last: What its last event said.
    """

    node: str
    name: str
    state: str
    health: str
    last: str

    @property
    def found_no_etcd_to_join(self) -> bool:
        """Whether it is an etcd that gave up after half an hour: it looks for a cluster only where it has no data (Talos's `Etcd.argsForControlPlane`)."""
        return self.state == "Failed" and "failed to build initial etcd cluster" in self.last


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of Talos's own runtime state."""

    namespace: str
    type: str
    id: str
    phase: str
    spec: dict[str, Any]


class Talosctl:
    """Talk to the machines that one talosconfig knows."""

    def __init__(self, runner: Runner, talosconfig: Path) -> None:
        self._runner = runner
        self._talosconfig = talosconfig

    def command(self, node: str, *words: str, endpoint: str = "") -> list[str]:
        """Return the argument list for one machine, asked at its own address unless another endpoint is named."""
        return [
            "talosctl",
            "--talosconfig",
            str(self._talosconfig),
            "--nodes",
            node,
            "--endpoints",
            endpoint or node,
            *words,
        ]

    def bootstrap(self, node: str, *, timeout_s: float) -> CommandResult:
        """Bootstrap etcd on one control plane node; the caller judges the answer."""
        return self._runner.run(self.command(node, "bootstrap"), timeout_s=timeout_s, changes=True)

    def version(self, node: str, *, endpoint: str = "") -> str:
        """Return the Talos version that a machine runs (`v1.12.0`).

        Raises:
            ToolFailed: The machine did not answer, or not with a certificate that we trust.
        """
        return parse_version(self._look(node, "version", "--short", endpoint=endpoint).stdout)

    def etcd_members(self, node: str) -> tuple[EtcdMember, ...]:
        """List etcd's members as one control plane node sees them.

        Raises:
            ToolFailed: There is no etcd there, or no answer.
            Unreadable: The answer lists nobody, which no etcd ever does.
        """
        members = tuple(parse_etcd_members(self._look(node, "etcd", "members").stdout))
        if not members:
            raise Unreadable(
                f"the etcd members of {node}",
                "the answer lists none",
                failure_class=FailureClass.RETRY,
            )
        return members

    def services(self, node: str) -> tuple[Service, ...]:
        """List a machine's services with their states.

        Raises:
            ToolFailed: The machine did not answer.
            Unreadable: The answer lists none, which no machine ever does: an unknown etcd must never be taken for a missing one.
        """
        services = tuple(parse_services(self._look(node, "services").stdout))
        if not services:
            raise Unreadable(
                f"the services of {node}", "the answer lists none", failure_class=FailureClass.RETRY
            )
        return services

    def resources(self, node: str, kind: str, *, namespace: str = "") -> tuple[Resource, ...]:
        """List one kind of resource of a machine's runtime state.

        Raises:
            ToolFailed: The machine did not answer, or knows no such kind.
            Unreadable: The answer is no YAML, as when it was cut off.
        """
        words = ["get", kind, "--output", "yaml"]
        if namespace:
            words += ["--namespace", namespace]
        return tuple(parse_resources(self._look(node, *words).stdout))

    def clock(self, node: str) -> datetime | None:
        """Return a machine's own time.

        `talosctl time` asks the machine's time server before it says anything; where that cannot be reached, as on a site whose time
        comes from elsewhere, the kernel still tells: when it booted, and how long ago that was.

        Raises:
            ToolFailed: The machine did not answer.
        """
        try:
            return parse_time(self._look(node, "time").stdout)
        except ToolFailed as error:
            result = error.result
            # Nobody answered, or somebody stopped the run: to ask on would take as long again, twice.
            if result.timed_out or result.exit_code < 0 or _NOT_ASKED.search(result.stderr):
                raise
            booted = self._runner.run(self.command(node, "read", "/proc/stat"), timeout_s=PROBE_S)
            uptime = self._runner.run(self.command(node, "read", "/proc/uptime"), timeout_s=PROBE_S)
            told = (
                parse_kernel_time(booted.stdout, uptime.stdout) if booted.ok and uptime.ok else None
            )
            if told is None:
                raise
            return told

    def health(
        self, node: str, *, control_plane: Sequence[str], workers: Sequence[str], timeout_s: float
    ) -> CommandResult:
        """Run Talos's own health checks from one control plane node, once, for so many seconds at most.

        talosctl caps each check at five minutes whatever `--wait-timeout` says, so that waiting longer is the caller's loop.
        """
        words = [
            "health",
            "--wait-timeout",
            f"{timeout_s:.0f}s",
            "--control-plane-nodes",
            ",".join(control_plane),
        ]
        if workers:
            words += ["--worker-nodes", ",".join(workers)]
        return self._runner.run(self.command(node, *words), timeout_s=timeout_s + 10)

    def kubeconfig_command(self, node: str) -> list[str]:
        """Return the argument list that prints the admin's kubeconfig."""
        return self.command(node, "kubeconfig", "--merge=false", "-")

    def kubeconfig(self, node: str) -> str:
        """Return the admin's kubeconfig, through a pipe: a run that is killed leaves no copy of it anywhere.

        Raises:
            ToolFailed: The machine did not hand it out.
        """
        result = self._runner.run(
            self.kubeconfig_command(node), timeout_s=PROBE_S, changes=True, quiet=True
        )
        return result.raise_on_failure(f"generate the kubeconfig from {node}").stdout

    def validate(self, config: Path, *, mode: str = "metal") -> CommandResult:
        """Validate a machine config file; the caller judges the answer."""
        return self._runner.run(
            ["talosctl", "validate", "--config", str(config), "--mode", mode, "--strict"],
            timeout_s=PROBE_S,
            quiet=True,
        )

    def _look(self, node: str, *words: str, endpoint: str = "") -> CommandResult:
        result = self._runner.run(
            self.command(node, *words, endpoint=endpoint), timeout_s=PROBE_S, quiet=True
        )
        return result.raise_on_failure(
            f"read {words[0] if len(words) == 1 else ' '.join(words[:2])} of {node}"
        )


def parse_version(text: str) -> str:
    """Read the machine's version of `talosctl version --short`, empty when it does not say."""
    found = re.search(r"^Server:.*?^\s*Tag:\s+(v\d+\.\d+\.\d+\S*)", text, re.DOTALL | re.MULTILINE)
    return found.group(1) if found else ""


def parse_etcd_members(text: str) -> Iterator[EtcdMember]:
    """Read the table of `talosctl etcd members`; a member that has been added and has not started yet has no name."""
    for row in _rows(text, "ID", "HOSTNAME", "LEARNER"):
        # A row that was cut off has no last cell, and perhaps half a name.
        if row["LEARNER"] in ("true", "false"):
            yield EtcdMember(
                id=row["ID"], hostname=row["HOSTNAME"], learner=row["LEARNER"] == "true"
            )


def parse_services(text: str) -> Iterator[Service]:
    """Read the table of `talosctl services`: NODE SERVICE STATE HEALTH LAST CHANGE LAST EVENT.

    An event may hold line breaks, as when etcd lists several errors. Such lines move the columns of the rows below them, so rows are
    known by their form, not by where their columns begin.
    """
    row: list[str] | None = None
    for line in text.split("\n"):
        cells = re.split(r" {3,}", line.rstrip(), maxsplit=5)
        if len(cells) >= 5 and cells[3] in ("OK", "Fail", "?") and cells[4].endswith(" ago"):  # noqa: PLR2004 - only the event may be empty
            if row is not None:
                yield _service(row)
            row = [*cells, ""][:6]
        elif row is not None and line.strip():
            row[5] = f"{row[5]} {' '.join(line.split())}".strip()
    if row is not None:
        yield _service(row)


def parse_health(text: str) -> str:
    """Return which check `talosctl health` got stuck at and why: its last line only says that the time was up."""
    checks: list[str] = []
    for line in text.split("\n"):
        if line.startswith(("waiting for ", "healthcheck error: ")):
            checks.append(line.strip())
        elif line.startswith("\t") and checks:
            # Errors of several machines stand below the check, one a line.
            checks[-1] = f"{checks[-1]} {' '.join(line.split())}"
    reasons = [
        check
        for check in checks
        if not check.endswith((": OK", ": ...", ": SKIP"))
        and "context deadline exceeded" not in check
    ]
    return (reasons or checks or ["no answer"])[-1]


def parse_resources(text: str) -> Iterator[Resource]:
    """Read the YAML documents of `talosctl get --output yaml`, each headed by the machine that said it.

    Raises:
        Unreadable: It is no YAML, as when it was cut off.
    """
    for document in read_yaml_documents(
        text, "what talosctl printed", failure_class=FailureClass.RETRY
    ):
        metadata = document.get("metadata") if isinstance(document, dict) else None
        if not isinstance(metadata, dict):
            continue
        spec = document.get("spec") or {}
        yield Resource(
            namespace=str(metadata.get("namespace", "")),
            type=str(metadata.get("type", "")),
            id=str(metadata.get("id", "")),
            phase=str(metadata.get("phase", "")),
            spec=spec if isinstance(spec, dict) else {"text": str(spec)},
        )


def parse_time(text: str) -> datetime | None:
    """Read the machine's time of `talosctl time`: NODE NTP-SERVER NODE-TIME NTP-SERVER-TIME."""
    for row in _rows(text, "NODE-TIME", "NTP-SERVER-TIME"):
        found = re.match(
            r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,6})?\d* ([+-]\d{4})",
            row["NODE-TIME"],
            re.ASCII,
        )
        if found:
            day, clock, fraction, offset = found.groups()
            with suppress(ValueError):
                return datetime.strptime(
                    f"{day} {clock}{fraction or '.0'} {offset}", "%Y-%m-%d %H:%M:%S.%f %z"
                )
    return None


def parse_kernel_time(stat: str, uptime: str) -> datetime | None:
    """Read the time of /proc/stat and /proc/uptime, exact to a second: the one says when the kernel booted, the other how long ago."""
    booted = re.search(r"^btime (\d+)$", stat, re.MULTILINE)
    elapsed = re.match(r"(\d+\.\d+) ", uptime)
    if booted is None or elapsed is None:
        return None
    return datetime.fromtimestamp(int(booted.group(1)) + float(elapsed.group(1)), UTC)


def _service(cells: Sequence[str]) -> Service:
    node, name, state, health, _, last = cells
    return Service(node=node, name=name, state=state, health=health, last=last)


def _rows(text: str, *must_have: str) -> Iterator[dict[str, str]]:
    """Read a table whose columns begin where their headings do; the heading is the first line that has all of these columns."""
    starts: list[tuple[int, str]] = []
    for line in text.split("\n"):
        if not starts:
            headings = [
                (found.start(), found.group()) for found in re.finditer(r"\S+(?: \S+)*", line)
            ]
            starts = headings if {name for _, name in headings}.issuperset(must_have) else []
        elif line.strip():
            ends = [start for start, _ in starts[1:]] + [len(line)]
            yield {
                name: line[start:end].strip()
                for (start, name), end in zip(starts, ends, strict=True)
            }
