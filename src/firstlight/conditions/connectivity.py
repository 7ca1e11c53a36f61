"""Condition of the network as a whole: Cilium's own connectivity test passes, scenario by scenario."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.events import ScenarioInfo, ScenarioStanding
from firstlight.target.connectivity import Connectivity
from firstlight.tools import connectivity as tool
from firstlight.tools.cilium import LEFT_OUT, Cilium
from firstlight.tools.connectivity import Result, Scenario, parse_connectivity
from firstlight.tools.process import CommandResult


def connectivity_passes(cilium: Cilium, here: Connectivity) -> Condition[int]:
    """Say whether the connectivity test passes; its value is how many scenarios passed. It is run once: a flaky network is no network."""

    def probe() -> Observation[int]:
        # What an earlier test has left makes the next one fail, or pass for the wrong reason.
        removed = cilium.remove_test_namespace()
        if not removed.ok:
            return not_yet(f"what an earlier test has left is still there: {removed.said}")
        result = cilium.connectivity_test(here.flags)
        left = cilium.remove_test_namespace()
        observation = _judge(result, parse_connectivity(result.stdout), here)
        if observation.holds and not left.ok:
            return never(
                f"{observation.seen}, but its namespace does not go: {left.said}",
                scenarios=observation.scenarios,
            )
        return observation

    return Condition("cilium connectivity test to pass", probe, passive=False)


def _judge(result: CommandResult, found: tool.Connectivity, here: Connectivity) -> Observation[int]:
    scenarios = tuple(_scenario(one, here) for one in found.scenarios)
    if not found.ended:
        how = "its time was up" if result.timed_out else f"exit code {result.exit_code}"
        return never(
            f"it ended after {found.reached} of {found.tests} tests ({how}): {result.said}",
            scenarios=scenarios,
        )
    counted = _counted(scenarios)
    if found.failed:
        first = found.failed[0]
        return never(f"{counted}; first {first.name}: {first.words}", scenarios=scenarios)
    if not result.ok:
        return never(
            f"{counted}, yet exit code {result.exit_code}: {result.said}", scenarios=scenarios
        )
    if not found.passed:
        return never(
            f"nothing was tested: {counted or 'it named no scenario'}", scenarios=scenarios
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
