"""Programs from images: a registry with tokens and redirects, and every way in which it may lie."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import subprocess
import tarfile

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox.check import check
from firstlight.toolbox.oci import bring_from_image, image_program
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.resolve import Origin, resolve, table
from firstlight.toolbox.setup import set_up
from tests.toolbox.servers import serving

REPOSITORY = "/v2/fluxcd/chisel"
NO_MISE = "#!/bin/sh\nexit 1\n"


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(**files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return gzip.compress(content.getvalue())


CHISEL = b"#!/bin/sh\necho chisel 0.5.0\n"
LAYERS = [layer(**{"etc/alpine": b"x"}), layer(**{"usr/local/bin/chisel": CHISEL})]


class Registry:
    """Serves one image as ghcr.io does: an anonymous token first, and blobs from elsewhere."""

    def __init__(self, server, layers=LAYERS, architectures=("amd64", "arm64")):
        self.server = server
        manifest = self._put(
            "manifests", json.dumps({"layers": [self._layer(one) for one in layers]}).encode()
        )
        platforms = [
            {"digest": manifest, "platform": {"os": "linux", "architecture": name}}
            for name in architectures
        ]
        self.index = self._put("manifests", json.dumps({"manifests": platforms}).encode())
        self.image = f"{server.address}/fluxcd/chisel:v0.5.0@{self.index}"
        server.files["/token"] = json.dumps({"token": "secret-of-a-minute"}).encode()
        answer = server.answer

        def with_token(path, headers):
            if path.startswith("/v2/") and headers.get("Authorization") != (
                "Bearer secret-of-a-minute"
            ):
                server.asked.append("refused")
                challenge = f'Bearer realm="{server.url}/token",service="here",scope="pull"'
                return 401, {"WWW-Authenticate": challenge}, b"{}"
            return answer(path, headers)

        server.answer = with_token

    def _put(self, kind, content):
        self.server.files[f"{REPOSITORY}/{kind}/{digest_of(content)}"] = content
        return digest_of(content)

    def _layer(self, content):
        digest = digest_of(content)
        self.server.files[f"/store/{digest}"] = content
        where = f"{self.server.url}/store/{digest}"
        self.server.files[f"{REPOSITORY}/blobs/{digest}"] = (307, {"Location": where}, b"")
        return {"digest": digest}


@pytest.fixture
def server():
    with serving() as started:
        yield started


def pinned(workshop, image):
    file = workshop.paths.versions
    text = file.read_text()
    file.write_text(
        text.replace('binary = "chisel-server"', f'binary = "chisel-server"\nimage = "{image}"')
    )
    return load_pins(file).tools["chisel"]


def test_a_program_is_taken_from_its_image(workshop, server):
    tool = pinned(workshop, Registry(server).image)

    program = bring_from_image(tool, workshop.paths, lambda: None)

    assert program == image_program(tool, workshop.paths)
    assert subprocess.run([program], capture_output=True, check=True).stdout == b"chisel 0.5.0\n"
    # The layer below is not needed.
    assert [path for path in server.asked if path.startswith("/store/")] == [
        f"/store/{digest_of(LAYERS[1])}"
    ]


def test_the_token_is_not_sent_to_the_store_that_the_registry_redirects_to(workshop, server):
    bring_from_image(pinned(workshop, Registry(server).image), workshop.paths, lambda: None)

    sent = [headers for path, headers in server.headers if path.startswith("/store/")]
    assert sent
    assert all("Authorization" not in headers for headers in sent)


def test_a_program_is_taken_through_a_proxy(workshop, server, monkeypatch):
    registry = Registry(server)
    # Only the proxy knows the host; a name that ends in .localhost is never looked up elsewhere.
    tool = dataclasses.replace(
        pinned(workshop, registry.image),
        image=registry.image.replace(server.address, "localhost:1"),
    )
    server.files |= {
        f"localhost:1{path}": body for path, body in server.files.items() if path.startswith("/v2/")
    }
    answer = server.answer
    server.answer = lambda path, headers: answer(
        path.replace("http://localhost:1/", f"{server.url}/"), headers
    )
    server.files |= {f"{server.address}{path}": body for path, body in server.files.items()}
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")

    program = bring_from_image(tool, workshop.paths, lambda: None)

    assert program.read_bytes() == CHISEL


@pytest.mark.parametrize(
    ("harm", "seen"),
    [
        (lambda files, key: files.update({key: b"{}"}), "has the digest sha256:"),
        (lambda files, key: files.pop(key), "answered 404"),
        (
            lambda files, key: files.update(
                {key: (200, {"Content-Length": "9999", "Connection": "close"}, b"x")}
            ),
            "has the digest sha256:",
        ),
        (lambda files, key: files.update({key: (503, {}, b"busy")}), "answered 503"),
    ],
    ids=["another content", "missing", "cut off", "out of order"],
)
@pytest.mark.parametrize("part", ["index", "manifest", "layer"])
def test_a_part_that_is_wrong_or_missing_is_reported_and_leaves_nothing(
    workshop, server, harm, seen, part
):
    registry = Registry(server)
    keys = list(server.files)
    key = {
        "index": f"{REPOSITORY}/manifests/{registry.index}",
        "manifest": next(key for key in keys if "/manifests/" in key),
        "layer": f"/store/{digest_of(LAYERS[1])}",
    }[part]
    harm(server.files, key)
    tool = pinned(workshop, registry.image)

    with pytest.raises(FirstlightError, match=seen) as failure:
        bring_from_image(tool, workshop.paths, lambda: None)

    assert failure.value.summary.startswith(f"cannot take chisel from {registry.image}: ")
    assert list(image_program(tool, workshop.paths).parent.iterdir()) == []


def test_an_image_without_the_program_is_reported(workshop, server):
    tool = pinned(workshop, Registry(server, layers=LAYERS[:1]).image)

    with pytest.raises(FirstlightError, match="it has no /usr/local/bin/chisel"):
        bring_from_image(tool, workshop.paths, lambda: None)


def test_an_image_for_another_machine_is_reported(workshop, server):
    tool = pinned(workshop, Registry(server, architectures=["s390x"]).image)

    with pytest.raises(FirstlightError, match="it is not for linux/"):
        bring_from_image(tool, workshop.paths, lambda: None)


def test_an_image_without_a_digest_is_refused(workshop):
    tool = pinned(workshop, "ghcr.io/fluxcd/chisel:v0.5.0")

    with pytest.raises(FirstlightError, match="cannot read the image"):
        bring_from_image(tool, workshop.paths, lambda: None)


def test_setup_takes_the_image_on_a_machine_with_mise_and_the_check_accepts_its_version(
    workshop, server, program, tmp_path, monkeypatch
):
    pinned(workshop, Registry(server).image)
    program(tmp_path / "a" / "mise", NO_MISE)
    program(tmp_path / "a" / "hammer", "#!/bin/sh\necho hammer v1.2.3\n")
    environ = workshop.environ | {"PATH": f"{tmp_path / 'a'}:/usr/bin:/bin"}
    pins = load_pins(workshop.paths.versions)
    monkeypatch.setattr(
        "firstlight.toolbox.paths.Path.home", lambda: workshop.paths.cache.parent / "home"
    )
    workshop = dataclasses.replace(
        workshop,
        paths=dataclasses.replace(workshop.paths, cache=workshop.paths.cache.parent / "firstlight"),
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(workshop.paths.cache.parent))
    workshop.paths.cache.mkdir()
    (workshop.paths.cache / "go").symlink_to(workshop.go_home.parent)

    set_up(pins, workshop.paths, environ, workshop.display)

    found = {entry.tool: entry for entry in check(workshop.paths.root)}["chisel"]
    assert (found.version, found.source, found.problem) == ("0.5.0", "image", "")
    assert workshop.go_calls.count("build") == 0
    resolved = resolve(pins, workshop.paths, environ)["chisel"]
    assert (resolved.origin, resolved.version) == (Origin.IMAGE, "0.5.0")
    assert table([resolved]).splitlines()[1].split()[:3] == ["chisel", "0.5.0", "image"]


def test_without_mise_no_registry_is_asked(workshop, server):
    pinned(workshop, Registry(server).image)

    set_up(load_pins(workshop.paths.versions), workshop.paths, workshop.environ, workshop.display)

    assert server.asked == []


def test_no_registry_is_asked_where_mise_can_download_nothing(workshop, server, program, tmp_path):
    pinned(workshop, Registry(server).image)
    program(tmp_path / "a" / "mise", NO_MISE)
    environ = workshop.environ | {"PATH": f"{tmp_path / 'a'}:/usr/bin:/bin"}

    set_up(load_pins(workshop.paths.versions), workshop.paths, environ, workshop.display)

    assert server.asked == []


def test_after_one_failed_image_the_next_is_not_tried(workshop, server, program, tmp_path):
    registry = Registry(server)
    pinned(workshop, registry.image)
    file = workshop.paths.versions
    file.write_text(file.read_text().replace('mise = "hammer"', f'image = "{registry.image}"'))
    server.files.clear()
    program(tmp_path / "a" / "mise", NO_MISE)
    environ = workshop.environ | {"PATH": f"{tmp_path / 'a'}:/usr/bin:/bin"}

    found = resolve(load_pins(file), workshop.paths, environ, download=workshop.display)

    assert [len(entry.remarks) for entry in found.values()] == [1, 0]
    assert server.asked == ["refused", "/token"]
