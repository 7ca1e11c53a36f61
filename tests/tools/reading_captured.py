"""The parsers of captured output, by the names in the captured files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from firstlight.tools import (
    cilium,
    connectivity,
    dns,
    flux,
    git,
    helm,
    helm_records,
    helmfile,
    talosctl,
)


def rows(parse: Callable[[str], Any]) -> Callable[[str], list[dict[str, Any]]]:
    return lambda text: [asdict(each) for each in parse(text)]


def row(parse: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    return lambda text: asdict(parse(text))


def moment(parse: Callable[[str], Any]) -> Callable[[str], str]:
    return lambda text: (found := parse(text)) and found.isoformat()


PARSERS: dict[str, Callable[[str], Any]] = {
    "version": talosctl.parse_version,
    "etcd_members": rows(talosctl.parse_etcd_members),
    "services": rows(talosctl.parse_services),
    "resources": rows(talosctl.parse_resources),
    "time": moment(talosctl.parse_time),
    "health": talosctl.parse_health,
    "flux_objects": rows(flux.parse_objects),
    "flux_failures": flux.parse_failures,
    "helm_releases": rows(helm.parse_releases),
    "helm_crds": helm_records.parse_crds,
    "helmfile_listed": helmfile.parse_listed,
    "git_head": git.parse_head,
    "agent_status": row(cilium.parse_agent_status),
    "agent_config": row(cilium.parse_agent_config),
    "connectivity": row(connectivity.parse_connectivity),
    "getent": lambda text: list(dns.parse_getent(text)),
}
"""Every parser, by its name in the captured files."""

READ_FROM_STDERR = {"health", "flux_failures"}
"""Parsers of standard error."""
