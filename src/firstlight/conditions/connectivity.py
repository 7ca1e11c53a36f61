"""Condition of the network as a whole: Cilium's own connectivity test, by scenario."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.events import ScenarioInfo, ScenarioStanding
from firstlight.process import CommandResult
from firstlight.target import Connectivity
from firstlight.tools import connectivity as tool
from firstlight.tools.cilium import LEFT_OUT, Cilium
from firstlight.tools.connectivity import Result, Scenario, parse_connectivity


def connectivity_test_passes(cilium: Cilium, here: Connectivity) -> Condition[int]:
    """Check that the connectivity test passes; the value counts the scenarios that passed.

    It runs once: a network that only passes a second time is not usable.
    """

    def probe() -> Observation[int]:
        # Leftovers of an earlier test make the next one fail, or pass for the wrong reason.
        removed = cilium.remove_test_namespace()
        if not removed.ok:
            return not_yet(f"leftovers of an earlier test cannot be removed: {removed.last_line}")
        result = cilium.connectivity_test(here.flags)
        left = cilium.remove_test_namespace()
        observation = _judge(result, parse_connectivity(result.stdout), here)
        if observation.holds and not left.ok:
            return never(
                f"{observation.seen}, but its namespace cannot be removed: {left.last_line}",
                scenarios=observation.scenarios,
            )
        return observation

    return Condition("cilium connectivity test to pass", probe, passive=False)


def _judge(result: CommandResult, found: tool.Connectivity, here: Connectivity) -> Observation[int]:
    scenarios = tuple(_scenario(one, here) for one in found.scenarios)
    if not found.ended:
        how = "timed out" if result.timed_out else f"exit code {result.exit_code}"
        return never(
            f"ended after {found.reached} of {found.tests} tests ({how}): {result.last_line}",
            scenarios=scenarios,
        )
    counted = _counted(scenarios)
    if found.failed:
        first = found.failed[0]
        return never(f"{counted}; first {first.name}: {first.words}", scenarios=scenarios)
    if not result.ok:
        return never(
            f"{counted}, yet exit code {result.exit_code}: {result.last_line}", scenarios=scenarios
        )
    if not found.passed:
        return never(
            f"nothing was tested: {counted or 'no scenario was reported'}", scenarios=scenarios
        )
    return holds(counted, len(found.passed), scenarios=scenarios)


def _scenario(one: Scenario, here: Connectivity) -> ScenarioInfo:
    if one.result is Result.PASSED:
        return ScenarioInfo(one.name, ScenarioStanding.PASSED)
    if one.result is Result.FAILED:
        return ScenarioInfo(one.name, ScenarioStanding.FAILED, one.words)
    if one.name in LEFT_OUT:
        return ScenarioInfo(one.name, ScenarioStanding.LEFT_OUT, LEFT_OUT[one.name])
    why = here.why_not(one.name, one.words)
    return ScenarioInfo(
        one.name,
        ScenarioStanding.NOT_VERIFIABLE if why else ScenarioStanding.LEFT_OUT,
        why or one.words,
    )


def _counted(scenarios: tuple[ScenarioInfo, ...]) -> str:
    counts = {
        standing: sum(one.standing is standing for one in scenarios)
        for standing in ScenarioStanding
    }
    return ", ".join(f"{number} {standing}" for standing, number in counts.items() if number)
