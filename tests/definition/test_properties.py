"""Any valid inventory loads; a damaged definition raises DefinitionError and nothing else."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstlight.definition import load
from firstlight.definition.machineplan import plan_generation
from firstlight.errors import DefinitionError
from tests.definition.trees import TWO_CLUSTERS

TALCONFIG = Path("clusters/infra/talos/talconfig.yaml")
CILIUM = Path("clusters/infra/flux/config/cilium/helmrelease.yaml")
CLUSTER_VARS = Path("clusters/infra/flux/cluster-vars.yaml")
FILES = sorted(
    path.relative_to(TWO_CLUSTERS)
    for path in TWO_CLUSTERS.rglob("*")
    if path.is_file() and "apps" not in path.parts
)

names = st.from_regex(r"[a-z][a-z0-9-]{0,14}[a-z0-9]", fullmatch=True)
versions = st.tuples(st.integers(0, 20), st.integers(0, 60), st.integers(0, 40)).map(
    lambda parts: "v{}.{}.{}".format(*parts)
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Return the copy of the valid definition that all examples share and restore."""
    return Path(shutil.copytree(TWO_CLUSTERS, tmp_path_factory.mktemp("definition") / "tree"))


@contextmanager
def changed(root: Path, files: dict[Path, bytes | None]) -> Iterator[None]:
    """Write or remove files for one example, then restore them."""
    before = {path: (root / path).read_bytes() for path in files}
    try:
        for path, content in files.items():
            (root / path).unlink() if content is None else (root / path).write_bytes(content)
        yield
    finally:
        for path, content in before.items():
            (root / path).write_bytes(content)


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid inventory of any size, on one of several private networks."""
    network = draw(
        st.sampled_from(
            [
                IPv4Network("172.16.0.0/24"),
                IPv4Network("192.168.7.0/26"),
                IPv4Network("10.25.11.0/25"),
            ]
        )
    )
    control_plane = draw(st.sampled_from([1, 3, 5]))
    hostnames = draw(
        st.lists(names, min_size=control_plane, max_size=control_plane + 6, unique=True)
    )
    hosts = draw(
        st.lists(
            st.integers(1, network.num_addresses - 2),
            min_size=len(hostnames) + 1,
            max_size=len(hostnames) + 1,
            unique=True,
        )
    )
    vip, *addresses = [str(network[host]) for host in hosts]
    mtu = draw(st.integers(1280, 9216))
    mode = draw(st.sampled_from(["802.3ad", "active-backup", "balance-xor"]))
    links = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    nodes = []
    for index, (hostname, address) in enumerate(zip(hostnames, addresses, strict=True)):
        interface: dict[str, Any] = {
            "interface": "bond0",
            "mtu": mtu,
            "addresses": [f"{address}/{network.prefixlen}"],
        }
        interface["bond"] = {"interfaces": links, "mode": mode, "miimon": 100}
        if index < control_plane:
            interface["vip"] = {"ip": vip}
        nodes.append(
            {
                "hostname": hostname,
                "ipAddress": address,
                "controlPlane": index < control_plane,
                "installDisk": "/dev/sda",
                "networkInterfaces": [interface],
            }
        )
    return {
        "clusterName": "infra",
        "talosVersion": draw(versions),
        "kubernetesVersion": draw(versions),
        "endpoint": f"https://{vip}:{draw(st.integers(1, 65535))}",
        "additionalApiServerCertSans": [vip],
        "additionalMachineCertSans": [vip],
        "clusterPodNets": ["10.42.0.0/16"],
        "clusterSvcNets": ["10.43.0.0/16"],
        "cniConfig": {"name": "none"},
        "controlPlane": {
            "patches": ["cluster: {proxy: {disabled: true}, coreDNS: {disabled: true}}"]
        },
        "nodes": draw(st.permutations(nodes)),
    }


@given(inventory=inventories())
def test_any_valid_inventory_loads(tree: Path, inventory: dict[str, Any]):
    vip, mtu = (
        inventory["additionalMachineCertSans"][0],
        inventory["nodes"][0]["networkInterfaces"][0]["mtu"],
    )
    network = IPv4Network(
        inventory["nodes"][0]["networkInterfaces"][0]["addresses"][0], strict=False
    )
    values = (
        (tree / CILIUM)
        .read_text(encoding="utf-8")
        .replace("10.25.11.0/24", str(network))
        .replace("10.25.11.10", vip)
    )
    files = {
        TALCONFIG: yaml.safe_dump(inventory).encode(),
        CILIUM: values.replace("MTU: 9000", f"MTU: {mtu}").encode(),
        CLUSTER_VARS: b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cluster-vars}\n"
        b"data: {CLUSTER_NAME: infra}\n",
    }
    with changed(tree, files):
        cluster = load(tree, "infra")
        plan = plan_generation(cluster)

    wanted = {node["hostname"]: node["ipAddress"] for node in inventory["nodes"]}
    assert {node.hostname: str(node.address) for node in cluster.nodes} == wanted
    assert {node.mtu for node in cluster.nodes} == {mtu}
    assert (str(cluster.vip), cluster.node_network) == (vip, network)
    assert len(cluster.control_plane) == sum(node["controlPlane"] for node in inventory["nodes"])
    assert len(plan.machines) == len(wanted)


ABSENT = object()
"""Instead of a value: the key or entry is removed."""

odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70_000)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(["10.25.11.12", "{{ x }}", "op://a/b", "v1.12.0"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "kind", "spec", "metadata", "items", "path"]),
            children,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def _places(data: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    return [here, *(place for key, value in children for place in _places(value, (*here, key)))]


def _replaced(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return None if value is ABSENT else value
    changed = copy.deepcopy(data)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    if value is ABSENT:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return changed


# Drawn from all files at once, so that each place is equally likely.
PLACES = [
    (path, place)
    for path in FILES
    if path.suffix == ".yaml"
    for place in _places(yaml.safe_load((TWO_CLUSTERS / path).read_text(encoding="utf-8")))
]


@given(where=st.sampled_from(PLACES), value=st.just(ABSENT) | odd_values)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_an_odd_value_raises_only_a_definition_error(
    tree: Path, where: tuple[Path, tuple[Any, ...]], value: Any
):
    path, place = where
    content = yaml.safe_load((tree / path).read_text(encoding="utf-8"))

    with changed(tree, {path: yaml.safe_dump(_replaced(content, place, value)).encode()}):
        assert _loads_or_is_refused(tree)


@given(path=st.sampled_from(FILES), data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_file_raises_only_a_definition_error(tree: Path, path: Path, data: st.DataObject):
    content = (tree / path).read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))

    with changed(tree, {path: content[:start] + data.draw(st.binary(max_size=8)) + content[end:]}):
        assert _loads_or_is_refused(tree)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_missing_file_is_reported_by_name(tree: Path, path: Path):
    with changed(tree, {path: None}), pytest.raises(DefinitionError) as raised:
        load(tree, "infra")

    assert path.name in str(raised.value) or path.parent.name in str(raised.value)


def _loads_or_is_refused(root: Path) -> bool:
    """Report whether the definition loads, or each of its problems has a rule and a fix."""
    try:
        load(root, "infra")
    except DefinitionError as error:
        return bool(error.problems) and all(
            problem.rule and problem.message and problem.fix for problem in error.problems
        )
    return True
