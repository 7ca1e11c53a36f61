"""What the benchmark makes of a run's events, the script's times and an audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.bootstrap import table
from bench.figures import (
    Span,
    covered_s,
    delays_ms,
    figures_of_reference,
    figures_of_run,
    percentile,
    read_audit,
)

SUITE = "OpenAPI-Generator/34.1.0/python"


def audited(
    verb: str,
    second: float,
    resource: str,
    *,
    agent: str = "kubelet",
    namespace: str = "",
    **more: Any,
) -> dict[str, Any]:
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "userAgent": agent,
        "objectRef": {"resource": resource, "namespace": namespace},
        "responseStatus": {"code": 200},
        "stageTimestamp": f"1970-01-01T00:00:{second:09.6f}Z",
        **more,
    }


def test_spans_that_overlap_count_once():
    spans = [Span("a", 0, 4), Span("b", 1, 2), Span("c", 3, 6), Span("d", 8, 9)]

    assert covered_s(spans) == 7


def test_a_percentile_is_one_of_the_values():
    assert [percentile([5.0, 1.0, 3.0], share) for share in (0.5, 0.95)] == [3.0, 5.0]
    assert percentile([], 0.5) == 0


EVENTS = [
    {"kind": "RunStarted", "at_s": 10.0, "stages": {"one": "10-talos", "two": "30-crds"}},
    {"kind": "CriterionStarted", "at_s": 10.0, "id": "one"},
    {"kind": "CommandEnded", "at_s": 13.0, "command": "talosctl get", "elapsed_s": 2.0},
    {"kind": "CommandEnded", "at_s": 13.0, "command": "talosctl get", "elapsed_s": 1.0},
    {
        "kind": "WaitEnded",
        "at_s": 15.0,
        "condition": "etcd",
        "elapsed_s": 4.0,
        "ok": True,
        "attempts": 3,
    },
    {"kind": "CriterionEnded", "at_s": 16.0, "id": "one"},
    {"kind": "CriterionStarted", "at_s": 16.0, "id": "two"},
    {"kind": "CriterionEnded", "at_s": 17.0, "id": "two"},
    {"kind": "RunEnded", "at_s": 17.0, "verified_after_s": 6.5},
    {"kind": "Used", "cpu_s": 1.25, "memory_mib": 90},
]


def test_the_wall_clock_of_a_run_is_the_lab_tools_waits_and_its_own():
    found = figures_of_run(EVENTS, [], wall_s=12.0, lab_s=3.0, cpu_s=5.0)

    assert (found.tools_s, found.cluster_s, found.own_s) == (2, 2, 5)
    assert (found.processes, found.tools) == (2, {"talosctl": 3})
    assert found.stages == {"10-talos": 6, "30-crds": 1}
    assert (found.bootstrap_s, found.own_cpu_s, found.memory_mib) == (6.5, 1.25, 90)


def test_the_reference_is_asleep_where_a_run_waits():
    times = ["command talosctl 1.0 2.0", "asleep sleep 3.0 5", "stage 10-talos 1.0 7.0"]

    found = figures_of_reference(times, wall_s=11.0, lab_s=3.5, cpu_s=1.0)

    assert (found.tools_s, found.cluster_s, found.own_s) == (2, 5, 0.5)
    assert (found.bootstrap_s, found.stages) == (7, {"10-talos": 7})


WATCH = audited("watch", 4.25, "pods", agent=SUITE, namespace="kube-system")


@pytest.mark.parametrize(
    ("events", "delays"),
    [
        ([WATCH, audited("patch", 4.0, "pods", namespace="kube-system")], [300]),
        ([WATCH, audited("patch", 3.0, "pods", namespace="kube-system")], [1300]),
        ([WATCH, audited("patch", 4.0, "pods", namespace="elsewhere")], []),
        ([WATCH, audited("patch", 4.0, "nodes")], []),
        ([WATCH, audited("patch", 5.0, "pods", namespace="kube-system")], []),
        ([audited("patch", 4.0, "pods", namespace="kube-system")], []),
        (
            [
                WATCH,
                audited(
                    "patch",
                    4.0,
                    "pods",
                    namespace="kube-system",
                    responseStatus={"code": 409},
                ),
            ],
            [],
        ),
    ],
    ids=["newest", "older", "elsewhere", "other kind", "after", "no watch", "refused"],
)
def test_a_condition_is_known_at_the_last_write_to_what_was_watched(
    events: list[dict[str, Any]], delays: list[int]
):
    found = delays_ms([Span("pods", 2.0, 4.3)], events)

    assert [round(delay) for delay in found] == delays


def test_an_audit_log_is_read_for_writes_and_for_the_suites_own_requests():
    lines = [
        audited("patch", 1, "pods"),
        audited("list", 1, "pods"),
        audited("watch", 1, "pods", agent=SUITE),
        audited("watch", 1, "pods", stage="ResponseStarted"),
    ]

    assert read_audit(map(json.dumps, lines)) == [lines[0], lines[2]]


def test_the_table_compares_pairs():
    run = figures_of_run(EVENTS, [], wall_s=12.0, lab_s=3.0, cpu_s=5.0)
    script = figures_of_reference(["stage 10-talos 1.0 13.0"], wall_s=16.0, lab_s=3.0, cpu_s=1.0)

    lines = table({"run": [run], "reference": [script]})

    assert lines[0].split() == ["median", "of", "1", "run", "reference", "ratio"]
    assert lines[1].split() == ["bootstrap_s", "6.50", "13.00", "0.50"]
    assert "own 5.00 s (41.7% of the wall clock)" in lines[-1]
