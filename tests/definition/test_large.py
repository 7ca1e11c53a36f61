"""A definition of 300 machines loads like one of six, in proportional time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from firstlight.definition import load, load_all
from firstlight.definition.machineplan import plan_generation
from firstlight.definition.model import Cluster
from firstlight.printable import NAMED_MAX, names_text
from firstlight.tools.talosctl import Talosctl
from tests.large import NODES, lay_out
from tests.tools.scripted import Said, scripted

ARGUMENT_BYTES_MAX = 128 * 1024
"""The longest single argument that Linux accepts."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def cluster(root: Path) -> Cluster:
    return load(root, "infra")


def test_every_machine_is_loaded_once(root: Path, cluster: Cluster):
    assert (len(cluster.control_plane), len(cluster.workers)) == (3, NODES - 3)
    assert len({node.address for node in cluster.nodes}) == len(cluster.node_names) == NODES
    assert {found.name for found in load_all(root)} >= {"infra", "apps"}


def test_every_machine_has_its_own_plan(cluster: Cluster):
    plan = plan_generation(cluster)

    assert [machine.hostname for machine in plan.machines] == [
        node.hostname for node in cluster.nodes
    ]
    assert len({machine.documents for machine in plan.machines}) == NODES


def test_the_time_per_machine_does_not_grow_with_their_number(tmp_path: Path):
    taken = {}
    for nodes in (60, NODES):
        root = lay_out(tmp_path / str(nodes), nodes)
        started_s = time.process_time()
        plan_generation(load(root, "infra"))
        taken[nodes] = time.process_time() - started_s

    # Five times as many machines: a quadratic step would take twenty-five times as long.
    assert taken[NODES] < 12 * taken[60]


def test_a_command_that_names_every_machine_fits_the_argument_limit(cluster: Cluster):
    runner = scripted({"health": Said()})
    control_plane, workers = (
        [str(node.address) for node in nodes] for nodes in (cluster.control_plane, cluster.workers)
    )

    Talosctl(runner, cluster.talosconfig).health(
        control_plane[0], control_plane=control_plane, workers=workers, timeout_s=20
    )

    assert max(len(word) for word in runner.called[0].argv) < ARGUMENT_BYTES_MAX
    assert workers[-1] in runner.called[0].line


def test_a_line_names_the_first_machines_and_counts_the_others(cluster: Cluster):
    assert names_text(cluster.node_names).endswith(f" and {NODES - NAMED_MAX} more")
    assert len(names_text(cluster.node_names)) < 200
    assert names_text(cluster.control_plane_names) == "infra-cp-1, infra-cp-2, infra-cp-3"
    assert names_text([]) == "none"
