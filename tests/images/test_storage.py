"""Images in the layout of a registry's storage and in the archive format of an engine."""

import hashlib
import json
import tarfile

import pytest

from lab.docker.images import storage
from lab.docker.images.layers import Entry, make_layer
from lab.docker.images.layout import Start, assemble, write_archive

REFERENCE = "registry.k8s.io/coredns/coredns:v1.13.2"


@pytest.fixture
def image(here):
    layers = [
        make_layer(name, [Entry(f"etc/{name}", data=name.encode())], here)
        for name in ("lower", "upper")
    ]
    return assemble(layers, Start(("/coredns",), {"A": "b"}, user="1:1"))


def test_an_image_of_the_same_layers_has_the_same_digest(image):
    assert (
        assemble(image.layers, Start(("/coredns",), {"A": "b"}, user="1:1")).digest == image.digest
    )
    assert assemble(image.layers, Start(("/other",))).digest != image.digest


def test_a_manifest_describes_configuration_and_layers_per_the_oci_specification(image):
    manifest, config = json.loads(image.manifest), json.loads(image.config)

    assert manifest["schemaVersion"] == 2
    assert manifest["config"] == {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": f"sha256:{hashlib.sha256(image.config).hexdigest()}",
        "size": len(image.config),
    }
    assert [layer["digest"] for layer in manifest["layers"]] == [
        layer.digest for layer in image.layers
    ]
    assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.layers]
    assert config["config"]["Entrypoint"] == ["/coredns"]
    assert config["config"]["User"] == "1:1"
    assert "A=b" in config["config"]["Env"]
    assert len(config["history"]) == len(image.layers)


def test_a_stored_image_is_found_under_its_name_without_the_registry(image, here):
    assert not storage.is_stored(image, REFERENCE, here)

    storage.store(image, REFERENCE, here)

    assert storage.is_stored(image, REFERENCE, here)
    assert here.tagged(REFERENCE) == image.digest
    assert (
        here.repositories / "coredns/coredns/_manifests/tags/v1.13.2/current/link"
    ).read_text() == image.digest
    for digest in (image.digest, image.identifier, *(layer.digest for layer in image.layers)):
        assert f"sha256:{hashlib.sha256(here.blob(digest).read_bytes()).hexdigest()}" == digest


def test_layers_take_disk_space_once(image, here):
    storage.store(image, REFERENCE, here)

    for layer in image.layers:
        assert here.blob(layer.digest).samefile(layer.file(here))


def test_an_image_with_a_lost_blob_is_stored_again(image, here):
    storage.store(image, REFERENCE, here)
    here.blob(image.layers[0].digest).unlink()

    assert not storage.is_stored(image, REFERENCE, here)
    storage.store(image, REFERENCE, here)
    assert storage.is_stored(image, REFERENCE, here)


def test_pruning_removes_a_replaced_image_and_keeps_the_others(image, here):
    storage.store(image, REFERENCE, here)
    other = assemble(
        [image.layers[0], make_layer("new", [Entry("etc/new", data=b"new")], here)], Start()
    )
    storage.store(other, REFERENCE, here)

    freed = storage.prune(here)

    assert freed > 0
    assert storage.is_stored(other, REFERENCE, here)
    assert not here.blob(image.digest).exists()
    assert not image.layers[1].file(here).exists()
    assert image.layers[0].file(here).exists()


def test_an_archive_holds_what_docker_load_reads(image, here, tmp_path):
    file = tmp_path / "node.tar"

    write_archive(image, "ghcr.io/siderolabs/talos:v1.12.0", file, here)

    with tarfile.open(file) as archive:
        (described,) = json.load(archive.extractfile("manifest.json"))
        config = archive.extractfile(described["Config"]).read()
        layers = [
            hashlib.sha256(archive.extractfile(name).read()).hexdigest()
            for name in described["Layers"]
        ]
    assert described["RepoTags"] == ["ghcr.io/siderolabs/talos:v1.12.0"]
    assert config == image.config
    assert layers == [layer.digest.removeprefix("sha256:") for layer in image.layers]


def test_the_registry_is_configured_read_only(here):
    storage.write_config(here)

    text = here.serve_config.read_text()

    assert str(here.storage) in text
    assert "readonly: {enabled: true}" in text
