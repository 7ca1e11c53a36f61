"""talosctl: the client of the Talos API, with one method per verb."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass
from firstlight.process import CommandResult, ToolFailed
from firstlight.tools.concurrency import concurrently
from firstlight.tools.reading import Unreadable, read_yaml_documents
from firstlight.tools.runner import Runner

PROBE_S = 25.0
"""Time limit of a query; gRPC gives up on an unreachable machine after 20 s, and says why."""

_NOT_REACHED = re.compile(r"code = (Unavailable|Canceled|DeadlineExceeded)")
"""Shows that talosctl did not reach a machine, or was stopped; failures on it have other codes."""


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """A member of etcd."""

    id: str
    hostname: str
    learner: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A Talos service on one machine.

    Attributes:
        node: The machine's address.
        name: The service's name.
        state: `Running`, `Preparing`, `Failed`, `Finished` and so on.
        health: `OK`, `Fail`, or `?` for a service without a health check.
        last: The message of its last event.
    """

    node: str
    name: str
    state: str
    health: str
    last: str

    @property
    def found_no_etcd_to_join(self) -> bool:
        """Whether this etcd gave up, after half an hour, on finding a cluster to join.

        It looks for one only if it has no data (`Etcd.argsForControlPlane` in Talos).
        """
        return self.state == "Failed" and "failed to build initial etcd cluster" in self.last


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a machine's runtime state; `node` is the machine's address."""

    node: str
    namespace: str
    type: str
    id: str
    phase: str
    spec: dict[str, Any]


class Talosctl:
    """Runs talosctl with one talosconfig."""

    def __init__(self, runner: Runner, talosconfig: Path) -> None:
        self._runner = runner
        self._talosconfig = talosconfig

    def together(self, nodes: Sequence[str], *, endpoint: str) -> FirstLooks:
        """Return a talosctl that asks all these machines at once, through one of them.

        A process per machine costs a tenth of a second of processor time each.
        """
        return FirstLooks(self._runner, self._talosconfig, tuple(nodes), endpoint)

    def command(self, node: str, *words: str, endpoint: str = "") -> list[str]:
        """Return the argument list for one machine, at its own address by default."""
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
        """Return the Talos version of a machine, such as `v1.12.0`.

        Raises:
            ToolFailed: The machine did not answer, or its certificate is not trusted.
        """
        return parse_version(self._look(node, "version", "--short", endpoint=endpoint).stdout)

    def etcd_members(self, node: str) -> tuple[EtcdMember, ...]:
        """List the etcd members that a control plane node knows.

        Raises:
            ToolFailed: The machine has no etcd, or did not answer.
            Unreadable: The list is empty, which never happens.
        """
        members = tuple(parse_etcd_members(self._look(node, "etcd", "members").stdout))
        if not members:
            raise Unreadable(
                f"the etcd members of {node}",
                "the list is empty",
                failure_class=FailureClass.RETRY,
            )
        return members

    def services(self, node: str) -> tuple[Service, ...]:
        """List a machine's services with their states.

        Raises:
            ToolFailed: The machine did not answer.
            Unreadable: The list is empty, which never happens. An unknown etcd must not count as
                a missing one.
        """
        services = tuple(parse_services(self._look(node, "services").stdout))
        if not services:
            raise Unreadable(
                f"the services of {node}", "the list is empty", failure_class=FailureClass.RETRY
            )
        return services

    def services_of(self, nodes: Sequence[str], *, endpoint: str) -> dict[str, tuple[Service, ...]]:
        """List the services of many machines, with one process as long as all of them answer.

        Raises:
            ToolFailed: A machine did not answer.
            Unreadable: A machine lists no service, which never happens.
        """
        found: dict[str, list[Service]] = defaultdict(list)
        # One machine that does not answer fails the command; what it says is asked for below.
        with suppress(FirstlightError):
            answer = self._look(",".join(nodes), "services", endpoint=endpoint)
            for service in parse_services(answer.stdout):
                found[service.node].append(service)
        missing = [node for node in nodes if node not in found]
        listed = concurrently(partial(self.services, node) for node in missing)
        return {
            **{node: tuple(found[node]) for node in nodes if node in found},
            **dict(zip(missing, listed, strict=True)),
        }

    def resources(
        self, node: str, kind: str, *, namespace: str = "", endpoint: str = ""
    ) -> tuple[Resource, ...]:
        """List one kind of resource of a machine's runtime state.

        Raises:
            ToolFailed: The machine did not answer, or does not know the kind.
            Unreadable: The answer is not valid YAML; for example, it is cut off.
        """
        words = ["get", kind, "--output", "yaml"]
        if namespace:
            words += ["--namespace", namespace]
        return tuple(parse_resources(self._look(node, *words, endpoint=endpoint).stdout))

    def clock(self, node: str) -> datetime | None:
        """Return a machine's own time.

        `talosctl time` asks the machine's time server first. If that is unreachable, for example on
        a site without NTP, the kernel's boot time and uptime give the time.

        Raises:
            ToolFailed: The machine did not answer.
        """
        try:
            return parse_time(self._look(node, "time").stdout)
        except ToolFailed as error:
            result = error.result
            # The machine is unreachable, or the run was stopped: do not ask twice more.
            if result.timed_out or result.exit_code < 0 or _NOT_REACHED.search(result.stderr):
                raise
            booted = self._runner.run(self.command(node, "read", "/proc/stat"), timeout_s=PROBE_S)
            uptime = self._runner.run(self.command(node, "read", "/proc/uptime"), timeout_s=PROBE_S)
            seen = (
                parse_kernel_time(booted.stdout, uptime.stdout) if booted.ok and uptime.ok else None
            )
            if seen is None:
                raise
            return seen

    def health(
        self, node: str, *, control_plane: Sequence[str], workers: Sequence[str], timeout_s: float
    ) -> CommandResult:
        """Run Talos's health checks once, from one control plane node, within a time limit.

        talosctl limits each check to five minutes despite `--wait-timeout`, so the caller repeats.
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
        """Return the admin's kubeconfig through a pipe, so that a killed run leaves no copy.

        Raises:
            ToolFailed: The machine did not answer, or refused.
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


class FirstLooks(Talosctl):
    """Answers the first question for each machine and kind from one look at all machines.

    That look is taken when the first machine is asked. Every later question goes to the machine
    itself. So does the first one if the common look failed or left that machine out, or if the
    machine did not answer since: what it said before may be over. Only resources are read in
    common: whether a machine answers is asked at its own address.
    """

    def __init__(
        self, runner: Runner, talosconfig: Path, nodes: tuple[str, ...], endpoint: str
    ) -> None:
        super().__init__(runner, talosconfig)
        self._nodes = nodes
        self._endpoint = endpoint
        self._looking = threading.Lock()
        self._seen: dict[str, dict[str, list[Resource]]] = {}
        """Per kind what was seen of each machine, and not yet asked for."""
        self._silent: set[str] = set()
        """Machines that did not answer once."""

    def version(self, node: str, *, endpoint: str = "") -> str:
        """Return the Talos version of a machine; see `Talosctl`."""
        try:
            return super().version(node, endpoint=endpoint)
        except FirstlightError:
            self._silent.add(node)
            raise

    def resources(
        self, node: str, kind: str, *, namespace: str = "", endpoint: str = ""
    ) -> tuple[Resource, ...]:
        """List one kind of resource of a machine's runtime state; see `Talosctl`."""
        with self._looking:
            if kind not in self._seen:
                self._seen[kind] = self._look_at_all(kind, namespace)
            seen = self._seen[kind].pop(node, None)
        if seen is not None and node not in self._silent:
            return tuple(seen)
        return super().resources(node, kind, namespace=namespace, endpoint=endpoint)

    def _look_at_all(self, kind: str, namespace: str) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = defaultdict(list)
        try:
            listed = super().resources(
                ",".join(self._nodes), kind, namespace=namespace, endpoint=self._endpoint
            )
        except FirstlightError:
            # One machine that does not answer fails the command; the others are asked one by one.
            return {}
        for resource in listed:
            found[resource.node].append(resource)
        return found


def parse_version(text: str) -> str:
    """Read the machine's version from `talosctl version --short`, empty if it is missing."""
    found = re.search(r"^Server:.*?^\s*Tag:\s+(v\d+\.\d+\.\d+\S*)", text, re.DOTALL | re.MULTILINE)
    return found.group(1) if found else ""


def parse_etcd_members(text: str) -> Iterator[EtcdMember]:
    """Read the table of `talosctl etcd members`; a member that has not started yet has no name."""
    for row in _rows(text, "ID", "HOSTNAME", "LEARNER"):
        # A row that is cut off has no last cell, and perhaps only part of a name.
        if row["LEARNER"] in ("true", "false"):
            yield EtcdMember(
                id=row["ID"], hostname=row["HOSTNAME"], learner=row["LEARNER"] == "true"
            )


def parse_services(text: str) -> Iterator[Service]:
    """Read the table of `talosctl services`: NODE SERVICE STATE HEALTH LAST CHANGE LAST EVENT.

    An event may contain line breaks, for example if etcd lists several errors. They shift the
    columns of later rows, so rows are recognized by their form.
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
    """Return the check that `talosctl health` was stuck at; its last line is only a timeout."""
    checks: list[str] = []
    for line in text.split("\n"):
        if line.startswith(("waiting for ", "healthcheck error: ")):
            checks.append(line.strip())
        elif line.startswith("\t") and checks:
            # Errors of several machines follow the check, one per line.
            checks[-1] = f"{checks[-1]} {' '.join(line.split())}"
    reasons = [
        check
        for check in checks
        if not check.endswith((": OK", ": ...", ": SKIP"))
        and "context deadline exceeded" not in check
    ]
    return (reasons or checks or ["no answer"])[-1]


def parse_resources(text: str) -> Iterator[Resource]:
    """Read the YAML documents of `talosctl get --output yaml`, one per resource.

    Raises:
        Unreadable: It is not valid YAML; for example, it is cut off.
    """
    for document in read_yaml_documents(
        text, "the output of talosctl", failure_class=FailureClass.RETRY
    ):
        metadata = document.get("metadata") if isinstance(document, dict) else None
        if not isinstance(metadata, dict):
            continue
        spec = document.get("spec") or {}
        yield Resource(
            node=str(document.get("node") or ""),
            namespace=str(metadata.get("namespace", "")),
            type=str(metadata.get("type", "")),
            id=str(metadata.get("id", "")),
            phase=str(metadata.get("phase", "")),
            spec=spec if isinstance(spec, dict) else {"text": str(spec)},
        )


def parse_time(text: str) -> datetime | None:
    """Read the machine's time from `talosctl time`: NODE NTP-SERVER NODE-TIME NTP-SERVER-TIME."""
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
    """Add the boot time of /proc/stat and the uptime of /proc/uptime, exact to a second."""
    booted = re.search(r"^btime (\d+)$", stat, re.MULTILINE)
    elapsed = re.match(r"(\d+\.\d+) ", uptime)
    if booted is None or elapsed is None:
        return None
    return datetime.fromtimestamp(int(booted.group(1)) + float(elapsed.group(1)), UTC)


def _service(cells: Sequence[str]) -> Service:
    node, name, state, health, _, last = cells
    return Service(node=node, name=name, state=state, health=health, last=last)


def _rows(text: str, *must_have: str) -> Iterator[dict[str, str]]:
    """Read a table with aligned columns; the first line with all of these headings starts it."""
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
