"""Faults for the tables of cases."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from tests.faults.bench import Bench, Breaking


def machine(name: str, **switches: object) -> Breaking:
    """Break one machine."""
    return lambda bench: bench.faults.machine(name, **switches)


def git(fault: str) -> Breaking:
    """Break the Git server."""
    return lambda bench: bench.faults.git(fault)


def pods(beginning: str, fault: str, *, container: str = "", message: str = "") -> Breaking:
    """Break pods."""
    return lambda bench: bench.faults.pods(beginning, fault, container=container, message=message)


def in_tree(file: str, before: str, after: str) -> Breaking:
    """Change the lab's copy of the definition."""
    return lambda bench: bench.faults.changed(bench.tree / file, before, after)


def nothing(_bench: Bench) -> AbstractContextManager[None]:
    """Break nothing: the run comes too early."""
    return nullcontext()
