"""Conditions of Cilium's datapath, judged by Cilium's own tools."""

from __future__ import annotations

import re

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.tools.cilium import Cilium, parse_replacement
from firstlight.tools.process import CommandResult


def status_ok(cilium: Cilium) -> Condition[str]:
    """Say when `cilium status` finds agents, operator and relay well."""

    def probe() -> Observation[str]:
        result = cilium.status()
        return holds("every component is OK", "OK") if result.ok else not_yet(_said(result))

    return Condition("cilium status to be well", probe)


def kube_proxy_replaced(cilium: Cilium) -> Condition[str]:
    """Say when an agent reports that its eBPF programs do kube-proxy's work; its value is the agent's own word."""

    def probe() -> Observation[str]:
        result = cilium.agent_status()
        if not result.ok:
            return not_yet(_said(result))
        mode = parse_replacement(result.stdout)
        return holds(f"kube-proxy replacement: {mode}", mode) if mode.lower() in ("true", "strict") else never(f"kube-proxy replacement is {mode}")

    return Condition("the eBPF datapath to be operational", probe)


def bgp_enabled(cilium: Cilium) -> Condition[str]:
    """Say whether the agents run with the BGP control plane."""

    def probe() -> Observation[str]:
        result = cilium.config()
        if not result.ok:
            return not_yet(_said(result))
        found = re.search(r"^enable-bgp-control-plane\s+(\S+)", result.stdout, re.MULTILINE)
        value = found.group(1) if found else "unset"
        return holds("enable-bgp-control-plane true", value) if value == "true" else never(f"enable-bgp-control-plane is {value}")

    return Condition("the BGP control plane to be enabled", probe)


def hubble_relay_answers(cilium: Cilium) -> Condition[str]:
    """Say when `cilium status` finds Hubble Relay well."""

    def probe() -> Observation[str]:
        result = cilium.status()
        found = re.search(r"Hubble Relay:\s+(.+)", re.sub(r"\x1b\[[0-9;]*m", "", result.stdout))
        word = found.group(1).strip() if found else _said(result)
        return holds(f"Hubble Relay: {word}", word) if word == "OK" else not_yet(f"Hubble Relay: {word}")

    return Condition("Hubble Relay to answer", probe)


def connectivity_passes(cilium: Cilium) -> Condition[int]:
    """Say whether the connectivity test passes; its value is how many tests were successful. It is run once: a flaky network is no network."""

    def probe() -> Observation[int]:
        result = cilium.connectivity_test()
        found = re.search(r"All (\d+) tests .*successful", result.stdout)
        if result.ok and found and int(found.group(1)) > 0:
            return holds(found.group(0), int(found.group(1)))
        return never(_said(result))

    return Condition("cilium connectivity test to pass", probe, passive=False)


def _said(result: CommandResult) -> str:
    return result.output_tail[-1] if result.output_tail else "no answer"
