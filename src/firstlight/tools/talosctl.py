"""talosctl: the Talos API's client, one method per verb that we use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from firstlight.tools.classification import Class, Rule
from firstlight.tools.process import CommandResult
from firstlight.tools.runner import Runner

PROBE_S = 15.0
"""One look at a machine: an unreachable one is given up by gRPC itself after about this long."""

RULES: tuple[Rule, ...] = (
    Rule(r"etcd data directory is not empty", Class.SUCCESS, "FL-001"),
    Rule(r"bootstrap is not available yet", Class.RETRY, "FL-002"),
    Rule(r"time is not in sync yet", Class.RETRY, "FL-003"),
    Rule(r"bootstrap can only be performed on a control ?plane node", Class.FATAL, "FL-004"),
    Rule(r"is not supported with multiple nodes", Class.FATAL, "FL-005"),
    Rule(r"certificate signed by unknown authority", Class.FATAL, "FL-008"),
    Rule(r"certificate required", Class.FATAL, "FL-009"),
    Rule(r"method \w+ not implemented|unknown (service|method)", Class.RETRY, "FL-010"),
    Rule(r"unknown keys found during decoding", Class.FATAL, "FL-011"),
    Rule(r"not yet valid|certificate has expired", Class.FATAL, "FL-018"),
    Rule(r"rpc not supported for learner|etcdserver: (no leader|leader changed|request timed out)", Class.WAIT, "FL-012"),
    Rule(r"connection refused", Class.RETRY, "FL-006"),
    Rule(r"i/o timeout|no route to host|DeadlineExceeded|context deadline exceeded", Class.RETRY, "FL-007"),
    Rule(r"error reading from server: EOF|unexpected EOF|connection reset|transport is closing|Unavailable", Class.RETRY, "FL-025"),
)


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
        return ["talosctl", "--talosconfig", str(self._talosconfig), "--nodes", node, "--endpoints", endpoint or node, *words]

    def bootstrap(self, node: str, *, timeout_s: float) -> CommandResult:
        """Bootstrap etcd on one control plane node; the caller judges the answer."""
        return self._runner.run(self.command(node, "bootstrap"), timeout_s=timeout_s, changes=True)

    def version(self, node: str, *, endpoint: str = "") -> str:
        """Return the Talos version that a machine runs (`v1.12.0`).

        Raises:
            ToolFailed: The machine did not answer, or not with a certificate that we trust.
        """
        result = self._look(node, "version", "--short", endpoint=endpoint)
        found = re.search(r"Server:.*?(v\d+\.\d+\.\d+\S*)", result.stdout, re.DOTALL)
        return found.group(1) if found else ""

    def etcd_members(self, node: str) -> tuple[EtcdMember, ...]:
        """List etcd's members as one control plane node sees them.

        Raises:
            ToolFailed: There is no etcd there, or no answer.
        """
        return tuple(parse_etcd_members(self._look(node, "etcd", "members").stdout))

    def services(self, node: str) -> tuple[Service, ...]:
        """List a machine's services with their states.

        Raises:
            ToolFailed: The machine did not answer.
        """
        return tuple(parse_services(self._look(node, "services").stdout))

    def resources(self, node: str, kind: str, *, namespace: str = "") -> tuple[Resource, ...]:
        """List one kind of resource of a machine's runtime state.

        Raises:
            ToolFailed: The machine did not answer, or knows no such kind.
        """
        words = ["get", kind, "--output", "yaml"]
        if namespace:
            words += ["--namespace", namespace]
        return tuple(parse_resources(self._look(node, *words).stdout))

    def clock(self, node: str) -> datetime | None:
        """Return a machine's own time.

        Raises:
            ToolFailed: The machine did not answer.
        """
        return parse_time(self._look(node, "time").stdout)

    def health(self, node: str, *, control_plane: Sequence[str], workers: Sequence[str], timeout_s: float) -> CommandResult:
        """Run Talos's own health checks from one control plane node, once, for so many seconds at most.

        talosctl caps each check at five minutes whatever `--wait-timeout` says, so that waiting longer is the caller's loop.
        """
        words = ["health", "--wait-timeout", f"{timeout_s:.0f}s", "--control-plane-nodes", ",".join(control_plane)]
        if workers:
            words += ["--worker-nodes", ",".join(workers)]
        return self._runner.run(self.command(node, *words), timeout_s=timeout_s + 10)

    def kubeconfig(self, node: str, path: Path) -> None:
        """Write the admin's kubeconfig to a path.

        Raises:
            ToolFailed: The machine did not hand it out.
        """
        result = self._runner.run(
            self.command(node, "kubeconfig", "--force", "--merge=false", str(path)), timeout_s=PROBE_S, changes=True, quiet=True
        )
        result.raise_on_failure(f"generate the kubeconfig from {node}", rules=RULES)

    def validate(self, config: Path, *, mode: str = "metal") -> CommandResult:
        """Validate a machine config file; the caller judges the answer."""
        return self._runner.run(["talosctl", "validate", "--config", str(config), "--mode", mode, "--strict"], timeout_s=PROBE_S, quiet=True)

    def _look(self, node: str, *words: str, endpoint: str = "") -> CommandResult:
        result = self._runner.run(self.command(node, *words, endpoint=endpoint), timeout_s=PROBE_S, quiet=True)
        return result.raise_on_failure(f"read {words[0] if len(words) == 1 else ' '.join(words[:2])} of {node}", rules=RULES)


def parse_etcd_members(text: str) -> Iterator[EtcdMember]:
    """Read the table of `talosctl etcd members`: NODE ID HOSTNAME PEER-URLS CLIENT-URLS LEARNER."""
    for row in _rows(text, "ID"):
        yield EtcdMember(id=row["ID"], hostname=row["HOSTNAME"], learner=row.get("LEARNER", "false") == "true")


def parse_services(text: str) -> Iterator[Service]:
    """Read the table of `talosctl services`: NODE SERVICE STATE HEALTH LAST CHANGE LAST EVENT."""
    for row in _rows(text, "SERVICE"):
        yield Service(node=row["NODE"], name=row["SERVICE"], state=row["STATE"], health=row["HEALTH"], last=row.get("LAST EVENT", ""))


def parse_resources(text: str) -> Iterator[Resource]:
    """Read the YAML documents of `talosctl get --output yaml`, each headed by the machine that said it."""
    for document in yaml.safe_load_all(text):
        if not isinstance(document, dict) or "metadata" not in document:
            continue
        metadata = document["metadata"]
        spec = document.get("spec") or {}
        if isinstance(spec, str):
            spec = {"text": spec}
        yield Resource(
            namespace=str(metadata.get("namespace", "")),
            type=str(metadata.get("type", "")),
            id=str(metadata.get("id", "")),
            phase=str(metadata.get("phase", "")),
            spec=spec,
        )


def parse_time(text: str) -> datetime | None:
    """Read the machine's time of `talosctl time`: NODE NTP-SERVER NODE-TIME NTP-SERVER-TIME."""
    for row in _rows(text, "NODE-TIME"):
        found = re.match(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,6})?\d* ([+-]\d{4})", row["NODE-TIME"])
        if found:
            day, clock, fraction, offset = found.groups()
            return datetime.strptime(f"{day} {clock}{fraction or '.0'} {offset}", "%Y-%m-%d %H:%M:%S.%f %z")
    return None


def _rows(text: str, must_have: str) -> Iterator[dict[str, str]]:
    """Read a table whose columns begin where their headings do; headings are two spaces apart."""
    lines = [line for line in text.splitlines() if line.strip()]
    head = next((index for index, line in enumerate(lines) if line.startswith("NODE") and must_have in line), None)
    if head is None:
        return
    headings = [(found.start(), found.group()) for found in re.finditer(r"\S+(?: \S+)*", lines[head])]
    for line in lines[head + 1 :]:
        ends = [start for start, _ in headings[1:]] + [len(line)]
        yield {name: line[start:end].strip() for (start, name), end in zip(headings, ends, strict=True)}
