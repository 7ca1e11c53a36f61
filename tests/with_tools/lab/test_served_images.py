"""The pinned registry serves an image that was written to its storage without it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstlight.toolbox import ToolboxPaths, load_pins
from firstlight.toolbox.fingerprint import bin_folder
from lab.docker.images import storage
from lab.docker.images.image_set import ImageSet, NodeImage
from lab.docker.images.layers import Entry, make_layer
from lab.docker.images.layout import Assembled, Start, assemble
from lab.docker.images.paths import ImagePaths
from lab.simulated import processes
from lab.simulated.paths import LabPaths
from tests.waiting import until

ADDRESS, PORT, START_S = "127.0.0.58", 5058, 30.0
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Answer:
    status: int
    digest: str
    body: bytes


def ask(method: str, path: str) -> Answer:
    connection = http.client.HTTPConnection(ADDRESS, PORT, timeout=START_S)
    try:
        connection.request(method, path, headers={"Accept": MANIFEST})
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheader("Docker-Content-Digest") or "", answer.read())
    finally:
        connection.close()


@pytest.fixture
def image(paths: LabPaths, tmp_path: Path) -> Assembled:
    """An image that the registry serves."""
    toolbox = ToolboxPaths.of_this_checkout()
    pins = load_pins(toolbox.versions)
    program = bin_folder(pins.builds["node"], pins, toolbox) / "registry"
    if not program.is_file():
        pytest.skip("needs the registry: ./task lab:images")
    here = ImagePaths(tmp_path / "images", "0123456789abcdef")
    image = assemble(
        [make_layer("one", [Entry("etc/motd", data=b"hello\n")], here)], Start(("/etcd",))
    )
    storage.store(image, "registry.k8s.io/etcd:v3.6.7", here)
    storage.write_config(here)
    served = ImageSet(here.storage, program, here.serve_config, NodeImage("", "", tmp_path), ())
    processes.start(
        paths,
        "registry",
        served.registry_command(ADDRESS, PORT),
        {"PATH": os.environ["PATH"]},
        stamp="one",
    )

    def answers() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            return ask("GET", "/v2/").status == http.HTTPStatus.OK
        return False

    assert until(answers, within_s=START_S), (paths.logs / "registry.log").read_text()
    return image


def test_a_mirror_is_asked_for_a_name_and_serves_every_part_of_the_image(image: Assembled):
    found = ask("GET", "/v2/etcd/manifests/v3.6.7?ns=registry.k8s.io")

    assert (found.status, found.digest, found.body) == (
        http.HTTPStatus.OK,
        image.digest,
        image.manifest,
    )
    manifest = json.loads(found.body)
    for part in (manifest["config"], *manifest["layers"]):
        blob = ask("GET", f"/v2/etcd/blobs/{part['digest']}")
        assert f"sha256:{hashlib.sha256(blob.body).hexdigest()}" == part["digest"]


def test_the_registry_serves_nothing_else_and_accepts_no_upload(image: Assembled):
    assert image.digest
    assert ask("GET", "/v2/etcd/manifests/v3.6.8").status == http.HTTPStatus.NOT_FOUND
    assert ask("GET", "/v2/pause/manifests/3.10").status == http.HTTPStatus.NOT_FOUND
    assert ask("POST", "/v2/etcd/blobs/uploads/").status == http.HTTPStatus.METHOD_NOT_ALLOWED
