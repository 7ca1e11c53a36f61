"""Parsers handle shifted tables, truncated answers and foreign text."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.run.retry import is_retried
from firstlight.tools import flux, git, helm, helmfile, talosctl
from firstlight.tools.reading import Unreadable, read_json, read_yaml, read_yaml_documents
from tests.tools.reading_captured import PARSERS, READ_FROM_STDERR
from tests.tools.test_captured import READINGS

MAY_REFUSE = {
    "resources",
    "helm_releases",
    "helm_crds",
    "helmfile_listed",
    "git_head",
    "agent_config",
    "agent_status",
}
"""Parsers that refuse foreign text; the others return a harmless result."""

SERVICES = """\
NODE          SERVICE   STATE    HEALTH   LAST CHANGE   LAST EVENT
10.25.11.11   apid      Running  OK       4m54s ago     Health check successful
""".replace("Running  OK", "Running   OK").replace("STATE    HEALTH", "STATE     HEALTH")

# Go's tabwriter realigns the columns after a line break in a cell.
MOVED = """\
NODE          SERVICE   STATE     HEALTH   LAST CHANGE   LAST EVENT
10.25.11.11   apid      Running   OK       4m54s ago     Health check successful
10.25.11.11   etcd      Failed    ?        3s ago        Failed to build cluster arguments: 1 error(s) occurred:
\ttimeout
10.25.11.11   containerd   Running   OK    13m2s ago   Health check successful
10.25.11.11   machined     Running   ?     13m2s ago
"""  # noqa: E501


def parse(name: str, text: str) -> Any:
    """Parse a text; a refusal must be an `Unreadable`."""
    with contextlib.suppress(Unreadable):
        return PARSERS[name](text)
    assert name in MAY_REFUSE
    return None


@given(name=st.sampled_from(sorted(PARSERS)), text=st.text())
def test_no_parser_breaks_on_any_text(name: str, text: str):
    parse(name, text)


@given(
    name=st.sampled_from(sorted(MAY_REFUSE)),
    text=st.text(alphabet="[]{}:,-\"'&*!|>%@`#?=<~ \n0123456789.abcdefnulltrue_oxz/T"),
)
def test_no_parser_breaks_on_the_characters_of_yaml_and_json(name: str, text: str):
    parse(name, text)


@given(entry=st.sampled_from(READINGS), end=st.integers(min_value=0), noise=st.text(max_size=20))
def test_no_parser_breaks_on_a_truncated_answer_with_any_suffix(
    entry: dict[str, Any], end: int, noise: str
):
    text = entry["stderr" if entry["reads"] in READ_FROM_STDERR else "stdout"]

    parse(entry["reads"], text[: end % (len(text) + 1)] + noise)


ROWS = [
    entry
    for entry in READINGS
    if entry["reads"] in ("etcd_members", "flux_objects") and entry["expected"]
]


@given(entry=st.sampled_from(ROWS), end=st.integers(min_value=0))
def test_a_truncated_table_has_no_invented_row(entry: dict[str, Any], end: int):
    """Half a hostname would be a foreign member of etcd; half a message is harmless."""
    read = parse(entry["reads"], entry["stdout"][: end % (len(entry["stdout"]) + 1)])

    for row, whole in zip(read, entry["expected"], strict=False):
        assert {key: row[key] for key in row if key not in ("message", "ready")} == {
            key: whole[key] for key in whole if key not in ("message", "ready")
        }


@given(
    entry=st.sampled_from(
        [
            entry
            for entry in READINGS
            if entry["reads"].startswith("helm_") and entry["stdout"].startswith("[{")
        ]
    ),
    end=st.integers(min_value=0),
)
def test_a_truncated_list_of_releases_is_refused(entry: dict[str, Any], end: int):
    text = entry["stdout"].rstrip()

    with pytest.raises(Unreadable) as caught:
        PARSERS[entry["reads"]](text[: end % len(text)])

    assert is_retried(caught.value)


def test_an_event_with_line_breaks_does_not_shift_other_services():
    read = list(talosctl.parse_services(MOVED))

    assert [(service.name, service.state, service.health) for service in read] == [
        ("apid", "Running", "OK"),
        ("etcd", "Failed", "?"),
        ("containerd", "Running", "OK"),
        ("machined", "Running", "?"),
    ]
    assert read[1].last == "Failed to build cluster arguments: 1 error(s) occurred: timeout"
    assert read[3].last == ""


def test_a_heading_with_a_blank_is_one_column():
    (service,) = talosctl.parse_services(SERVICES)

    assert (service.health, service.last) == ("OK", "Health check successful")


def test_a_member_that_has_not_started_yet_has_no_name():
    table = """\
NODE          ID                 HOSTNAME     PEER URLS                  CLIENT URLS                LEARNER
10.25.11.11   28d201bd63fd76c5   infra-cp-1   https://10.25.11.11:2380   https://10.25.11.11:2379   false
10.25.11.11   8f4fd0c52347fa68                https://10.25.11.12:2380                              true
"""  # noqa: E501

    read = list(talosctl.parse_etcd_members(table))

    assert [(member.hostname, member.learner) for member in read] == [
        ("infra-cp-1", False),
        ("", True),
    ]


def test_members_are_read_without_a_node_column():
    table = "ID                 HOSTNAME     PEER URLS                  CLIENT URLS                LEARNER\n"  # noqa: E501
    table += "28d201bd63fd76c5   infra-cp-1   https://10.25.11.11:2380   https://10.25.11.11:2379   false\n"  # noqa: E501

    assert [member.hostname for member in talosctl.parse_etcd_members(table)] == ["infra-cp-1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "NODE   SERVICE   STATE   HEALTH   LAST CHANGE   LAST EVENT\n",
        "1 error occurred:\n\t* nothing\n",
    ],
)
def test_an_empty_list_is_read_as_empty(text: str):
    assert list(talosctl.parse_services(text)) == []
    assert list(talosctl.parse_etcd_members(text)) == []
    assert flux.parse_objects(text) == []
    assert talosctl.parse_time(text) is None
    assert talosctl.parse_version(text) == ""


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (
            "2026-11-23 13:26:14.435689294 +0000 UTC",
            datetime(2026, 11, 23, 13, 26, 14, 435689, tzinfo=UTC),
        ),
        ("2026-11-23 13:26:14.4 +0000 UTC", datetime(2026, 11, 23, 13, 26, 14, 400000, tzinfo=UTC)),
        ("2026-11-23 13:26:14 +0000 UTC", datetime(2026, 11, 23, 13, 26, 14, tzinfo=UTC)),
        (
            "2026-11-23 15:26:14.435689294 +0200 CEST",
            datetime(2026, 11, 23, 13, 26, 14, 435689, tzinfo=UTC),
        ),
        ("2026-99-23 13:26:14 +0000 UTC", None),
        ("never", None),
    ],
)
def test_a_machines_time_is_read_in_every_format_of_go(time: str, expected: datetime | None):
    heading = f"{'NODE':14}{'NTP-SERVER':22}{'NODE-TIME':{len(time) + 3}}NTP-SERVER-TIME"

    assert (
        talosctl.parse_time(
            f"{heading}\n{'10.25.11.11':14}{'time.cloudflare.com':22}{time}   {time}\n"
        )
        == expected
    )


# `talosctl read` of both files on one machine at 2026-11-25 11:14:39 UTC; /proc/stat is shortened.
STAT = "intr 1 0\nctxt 12\nbtime 1795601432\nprocesses 7\n"


def test_the_kernel_gives_the_time_of_a_machine_without_a_time_server():
    assert talosctl.parse_kernel_time(STAT, "3847.27 192.50\n") == datetime(
        2026, 11, 25, 11, 14, 39, 270000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("stat", "uptime"),
    [("", "3847.27 192.50\n"), (STAT, ""), ("btime soon\n", "1.0 1.0\n"), (STAT, "soon\n")],
)
def test_a_missing_kernel_time_is_not_guessed(stat: str, uptime: str):
    assert talosctl.parse_kernel_time(stat, uptime) is None


def test_a_text_spec_of_a_resource_is_kept():
    (resource,) = talosctl.parse_resources(
        "node: 10.25.11.11\nmetadata:\n  id: x\nspec: |\n  version: v1alpha1\n"
    )

    assert resource.spec == {"text": "version: v1alpha1\n"}


def test_alerts_and_providers_have_no_readiness():
    table = "NAMESPACE  \tNAME          \tSUSPENDED\nflux-system\talert/on-call \tFalse\n\nNAMESPACE\tNAME\tREADY\tMESSAGE\nflux-system\tkustomization/x\tTrue\tok\n"  # noqa: E501

    assert [each.name for each in flux.parse_objects(table)] == ["kustomization/x"]


def test_a_message_with_a_line_break_is_not_an_object():
    table = "NAMESPACE\tNAME\tREVISION\tSUSPENDED\tREADY\tMESSAGE\nkube-system\thelmrelease/x\t\tFalse\tFalse\tinstall failed:\ntimed out waiting\n"  # noqa: E501

    assert [(each.name, each.ready, each.message) for each in flux.parse_objects(table)] == [
        ("helmrelease/x", "False", "install failed:")
    ]


@pytest.mark.parametrize(
    ("parse_one", "text", "message"),
    [
        (
            helm.parse_releases,
            '[{"name": "x"}]',
            "cannot read the list of Helm releases: it does not have Helm's format",
        ),
        (
            helmfile.parse_listed,
            "{}",
            "cannot read the list of helmfile: it does not have helmfile's format",
        ),
        (git.parse_head, "warning: you appear to have cloned nothing\n", "it names no commit"),
        (
            lambda text: list(talosctl.parse_resources(text)),
            "a: b: c",
            "cannot read the output of talosctl: it is not valid YAML from line 1, column 5 on",
        ),
    ],
)
def test_another_format_is_reported_and_not_guessed(parse_one: Any, text: str, message: str):
    with pytest.raises(Unreadable, match=message):
        parse_one(text)


SECRET = "hunter2-hunter2-hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"data: {SECRET}: {SECRET}",
        f"data:\n\t{SECRET}",
        f"a: *{SECRET}",
        f"a: !{SECRET} x",
        f"a: '{SECRET}",
        f"{{{SECRET}",
        f"&{SECRET} a: &{SECRET} b\n",
    ],
)
def test_unreadable_text_is_never_quoted(text: str):
    for read in (read_yaml, read_yaml_documents, read_json):
        with pytest.raises(Unreadable) as caught:
            read(text, "the secrets")

        assert SECRET not in str(caught.value)
        # A traceback would print the cause.
        assert caught.value.__suppress_context__
