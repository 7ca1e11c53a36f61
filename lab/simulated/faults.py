"""Faults: the only place that breaks the simulated target, and repairs it.

Fault model. Everything here can break from outside, at any time and for any length of time. Each
fault is a context manager; leaving it repairs the target. Nothing else is touched: a run meets the
fault through the real tools, as it would meet a real one.

    what            how it breaks                                implemented by
    a machine       power, network, port, certificates, clock,   the machines, from faults.json
                    boot, role, links, kubelet, etcd, answer     (internal/faults/faults.go)
                    to a bootstrap, VIP, port 6443
    a pod           image, sandbox, start, crash                 the kubelets, from faults.json
                                                                 (controlplane/kubelet/faults.go)
    the Git server  down, other host key, deploy key rights      the Git server, from faults.json
    1Password       rate limit                                   the `op` stand-in
    a process       stopped for a while (SIGSTOP, SIGCONT)       the kernel
    a file          removed, changed                             this module

What never breaks: loopback loses no packets except those that `silent` drops, files are never torn,
and the lab's own bookkeeping is right. A running pod keeps running. Times are those of Kubernetes
and Talos, except for the half hour after which Talos gives up joining etcd: here it passes at once.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firstlight.files import write_atomically
from lab.simulated import processes
from lab.simulated.paths import LabPaths

FILE = "faults.json"

JsonObject = dict[str, Any]


@dataclass
class Faults:
    """The faults of one lab.

    Attributes:
        paths: The lab.
    """

    paths: LabPaths
    _active: JsonObject = field(default_factory=dict)

    @contextmanager
    def machine(self, hostname: str, **switches: object) -> Iterator[None]:
        """Break one machine, or all of them with `*`.

        The switches are those of `faults.Set` in the machines' package `faults`.
        """
        with self._set_one(
            "nodes", hostname, {**self._active.get("nodes", {}).get(hostname, {}), **switches}
        ):
            yield

    @contextmanager
    def pods(
        self, beginning: str, fault: str, *, container: str = "", message: str = ""
    ) -> Iterator[None]:
        """Break the pods whose `namespace/name` has this prefix and that have not started yet.

        Args:
            beginning: The prefix, such as `kube-system/cilium-`. The longest prefix that matches a
                pod counts.
            fault: `image_pull`, `no_sandbox`, `start_error` or `crash`.
            container: The container. By default the first one, or all of them, depending on the
                fault.
            message: The message that the pod reports.
        """
        with self._set_one(
            "pods", beginning, {"fault": fault, "container": container, "message": message}
        ):
            yield

    @contextmanager
    def git(self, fault: str) -> Iterator[None]:
        """Break the Git server.

        Args:
            fault: `down`, `host_key`, `unregistered`, `read_write` or `other_repository`.
        """
        with self._set_part("git", fault):
            yield

    @contextmanager
    def op(self, fault: str) -> Iterator[None]:
        """Break 1Password: `rate_limited`."""
        with self._set_part("op", fault):
            yield

    @contextmanager
    def stopped(self, program: str) -> Iterator[None]:
        """Stop a control plane program (`kube-apiserver`, `etcd`): it neither answers nor ends.

        Raises:
            ProcessLookupError: The program does not run, or its process id now belongs to another
                process.
        """
        pid = self._pid(program)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _pid(self, program: str) -> int:
        file = (
            self.paths.state / "kwok" / "clusters" / self.paths.cluster / "pids" / f"{program}.pid"
        )
        pid = int(file.read_text()) if file.is_file() else 0
        if not pid or processes.state_of(pid) != str(self.paths.state):
            raise ProcessLookupError(f"{program} of {self.paths.state} is not running")
        return pid

    @staticmethod
    @contextmanager
    def away(path: Path) -> Iterator[None]:
        """Remove a file for a while."""
        content, mode = path.read_bytes(), path.stat().st_mode & 0o777
        path.unlink()
        try:
            yield
        finally:
            write_atomically(path, content, mode=mode)

    @staticmethod
    @contextmanager
    def changed(path: Path, before: str, after: str) -> Iterator[None]:
        """Replace a text in a file for a while.

        Raises:
            ValueError: The file does not contain the text, so nothing would break.
        """
        text, mode = path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777
        if before not in text:
            raise ValueError(f"{path} does not contain {before!r}")
        write_atomically(path, text.replace(before, after), mode=mode)
        try:
            yield
        finally:
            write_atomically(path, text, mode=mode)

    @contextmanager
    def _set_one(self, part: str, name: str, value: object) -> Iterator[None]:
        """Set the fault of one machine or some pods in faults.json, then restore the old value."""
        before = self._active.get(part, {}).get(name)
        self._write(part, {**self._active.get(part, {}), name: value})
        try:
            yield
        finally:
            others = {other: fault for other, fault in self._active[part].items() if other != name}
            self._write(part, {**others, **({} if before is None else {name: before})} or None)

    @contextmanager
    def _set_part(self, part: str, value: object) -> Iterator[None]:
        """Set the fault of a part that exists once in faults.json, then restore the old value."""
        before = self._active.get(part)
        self._write(part, value)
        try:
            yield
        finally:
            self._write(part, before)

    def _write(self, part: str, value: object) -> None:
        self._active = {name: other for name, other in self._active.items() if name != part}
        if value is not None:
            self._active[part] = value
        path = self.paths.state / FILE
        if self._active:
            write_atomically(path, json.dumps(self._active, indent=2) + "\n", mode=0o644)
        else:
            path.unlink(missing_ok=True)


def current_fault(state: Path, part: str) -> str:
    """Return the fault of the Git server or 1Password from faults.json; empty if there is none."""
    try:
        word = json.loads((state / FILE).read_text(encoding="utf-8")).get(part, "")
    except FileNotFoundError:
        return ""
    return word if isinstance(word, str) else ""
