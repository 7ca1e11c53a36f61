"""Faults: the one place that breaks the simulated target, and mends it.

Fault model. Everything here is broken on purpose, from outside, at any time, for any time; what breaks it is a context manager, and leaving
it mends. Nothing else is touched: a run meets the fault as it would meet a real one, through the real tools.

    what                  how it breaks                                                     who does it
    a machine             power, network, port, certificates, clock, boot, role, links,     the machines, as faults.json says
                          kubelet, etcd, answer to a bootstrap, VIP, port 6443              (internal/faults/faults.go)
    a pod                 image, sandbox, start, crash                                      the kubelets, as faults.json says
                                                                                            (internal/controlplane/kubelet/faults.go)
    the Git server        down, another host key, what it thinks of the deploy key          the Git server, as faults.json says
    1Password             rate limit                                                        the `op` stand-in
    a process             stopped for a while (SIGSTOP, SIGCONT)                            the kernel
    a file                away, changed                                                     this module

What never breaks: loopback loses no packet but those that `silent` drops, no file is torn, and the lab's own bookkeeping is right. A pod that
runs goes on running. Times are Kubernetes's and Talos's own, but for the half hour after which Talos gives up joining etcd: it takes no time.
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

from lab.simulated import processes
from lab.simulated.paths import LabPaths, write_atomic

FILE = "faults.json"

JsonObject = dict[str, Any]


@dataclass
class Faults:
    """The faults of one lab.

    Attributes:
        paths: Where the lab is.
    """

    paths: LabPaths
    _said: JsonObject = field(default_factory=dict)

    @contextmanager
    def machine(self, hostname: str, **switches: object) -> Iterator[None]:
        """Break one machine, or every one of them, `*`: see `faults.Set` in the machines' package `faults` for the switches."""
        with self._said_of_one(
            "nodes", hostname, {**self._said.get("nodes", {}).get(hostname, {}), **switches}
        ):
            yield

    @contextmanager
    def pods(
        self, beginning: str, fault: str, *, container: str = "", message: str = ""
    ) -> Iterator[None]:
        """Break the pods that have not started yet and whose `namespace/name` begins so.

        Args:
            beginning: Such as `kube-system/cilium-`; the longest one that fits a pod counts.
            fault: `image_pull`, `no_sandbox`, `start_error` or `crash`.
            container: Which container; all of them, or the first, without it.
            message: What is heard of it.
        """
        with self._said_of_one(
            "pods", beginning, {"fault": fault, "container": container, "message": message}
        ):
            yield

    @contextmanager
    def git(self, fault: str) -> Iterator[None]:
        """Break the Git server: `down`, `host_key`, `unregistered`, `read_write` or `other_repository`."""
        with self._said_of_part("git", fault):
            yield

    @contextmanager
    def op(self, fault: str) -> Iterator[None]:
        """Break 1Password: `rate_limited`."""
        with self._said_of_part("op", fault):
            yield

    @contextmanager
    def stopped(self, program: str) -> Iterator[None]:
        """Stop one of the control plane's programs (`kube-apiserver`, `etcd`), which then neither answers nor ends.

        Raises:
            ProcessLookupError: It does not run, or its number is somebody else's by now.
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
            raise ProcessLookupError(f"{program} of {self.paths.state} does not run")
        return pid

    @staticmethod
    @contextmanager
    def away(path: Path) -> Iterator[None]:
        """Take a file away."""
        content, mode = path.read_bytes(), path.stat().st_mode & 0o777
        path.unlink()
        try:
            yield
        finally:
            write_atomic(path, content, mode=mode)

    @staticmethod
    @contextmanager
    def changed(path: Path, before: str, after: str) -> Iterator[None]:
        """Replace a text in a file, which has to hold it.

        Raises:
            ValueError: The file does not hold it, so that nothing would break.
        """
        text, mode = path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777
        if before not in text:
            raise ValueError(f"{path} does not hold {before!r}")
        write_atomic(path, text.replace(before, after), mode=mode)
        try:
            yield
        finally:
            write_atomic(path, text, mode=mode)

    @contextmanager
    def _said_of_one(self, part: str, name: str, value: object) -> Iterator[None]:
        """Have faults.json say it of one machine, or of some pods; what it said of them before comes back."""
        before = self._said.get(part, {}).get(name)
        self._say(part, {**self._said.get(part, {}), name: value})
        try:
            yield
        finally:
            others = {other: said for other, said in self._said[part].items() if other != name}
            self._say(part, {**others, **({} if before is None else {name: before})} or None)

    @contextmanager
    def _said_of_part(self, part: str, value: object) -> Iterator[None]:
        """Have faults.json say it of what there is one of; what it said before comes back."""
        before = self._said.get(part)
        self._say(part, value)
        try:
            yield
        finally:
            self._say(part, before)

    def _say(self, part: str, value: object) -> None:
        self._said = {name: other for name, other in self._said.items() if name != part}
        if value is not None:
            self._said[part] = value
        path = self.paths.state / FILE
        if self._said:
            write_atomic(path, json.dumps(self._said, indent=2) + "\n")
        else:
            path.unlink(missing_ok=True)


def said(state: Path, part: str) -> str:
    """Return what faults.json says of the Git server or of 1Password, empty when nothing is wrong with it."""
    try:
        word = json.loads((state / FILE).read_text(encoding="utf-8")).get(part, "")
    except FileNotFoundError:
        return ""
    return word if isinstance(word, str) else ""
