"""Only the pinned version is used; any other version on PATH is reported."""

from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.resolve import Origin, resolve, table


def say(version):
    return f'#!/bin/sh\n[ "$1" = --version ] && echo "hammer v{version}"\n'


def resolve_hammer(workshop, *folders, download=False):
    environ = workshop.environ | {
        "PATH": ":".join(str(folder) for folder in folders) + ":/usr/bin:/bin"
    }
    return resolve(
        load_pins(workshop.paths.versions),
        workshop.paths,
        environ,
        download=workshop.display if download else None,
    )["hammer"]


def test_a_tool_on_path_at_the_pinned_version_is_used(workshop, program, tmp_path):
    hammer = program(tmp_path / "a" / "hammer", say("1.2.3"))

    found = resolve_hammer(workshop, tmp_path / "a")

    assert (found.origin, found.path, found.remarks) == (Origin.PATH, hammer, ())


def test_a_tool_on_path_at_another_version_is_reported_and_not_used(workshop, program, tmp_path):
    hammer = program(tmp_path / "a" / "hammer", say("1.2.4"))

    found = resolve_hammer(workshop, tmp_path / "a")

    assert found.origin is Origin.MISSING
    assert found.remarks == (f"{hammer} has version 1.2.4, not 1.2.3: not used",)


def test_the_pinned_version_is_found_behind_another_one(workshop, program, tmp_path):
    program(tmp_path / "a" / "hammer", say("1.2.30"))
    hammer = program(tmp_path / "b" / "hammer", say("1.2.3"))

    found = resolve_hammer(workshop, tmp_path / "a", tmp_path / "b")

    assert (found.origin, found.path) == (Origin.PATH, hammer)
    assert "1.2.30" in found.remarks[0]


def test_a_tool_that_does_not_print_its_version_is_not_used(workshop, program, tmp_path):
    program(tmp_path / "a" / "hammer", "#!/bin/sh\nexit 1\n")

    found = resolve_hammer(workshop, tmp_path / "a")

    assert found.origin is Origin.MISSING
    assert "no readable version" in found.remarks[0]


def test_a_tool_that_cannot_print_its_version_is_never_taken_from_path(workshop, program, tmp_path):
    program(tmp_path / "a" / "chisel", "#!/bin/sh\necho 0.4.0\n")
    environ = workshop.environ | {"PATH": f"{tmp_path / 'a'}:/usr/bin:/bin"}

    found = resolve(load_pins(workshop.paths.versions), workshop.paths, environ)["chisel"]

    assert found.origin is Origin.MISSING


def test_our_own_links_and_the_shims_of_version_managers_are_skipped(workshop, program, tmp_path):
    program(workshop.paths.bin / "hammer", say("1.2.3"))
    program(tmp_path / "mise" / "shims" / "hammer", say("1.2.3"))

    found = resolve_hammer(workshop, workshop.paths.bin, tmp_path / "mise" / "shims")

    assert found.origin is Origin.MISSING
    assert found.remarks == ()


def test_the_list_shows_the_origin_of_each_tool_and_wrong_versions(workshop, program, tmp_path):
    wrong = program(tmp_path / "a" / "hammer", say("7.0.0"))
    environ = workshop.environ | {"PATH": f"{tmp_path / 'a'}:/usr/bin:/bin"}
    found = resolve(load_pins(workshop.paths.versions), workshop.paths, environ)

    lines = table(found.values()).splitlines()

    assert lines[0].split() == ["TOOL", "VERSION", "FROM", "PATH"]
    assert lines[1].split()[:3] == ["chisel", "0.4.0", "missing"]
    assert lines[2].split()[:3] == ["hammer", "1.2.3", "missing"]
    assert lines[-1] == f"  hammer: {wrong} has version 7.0.0, not 1.2.3: not used"


# As mise 2026.9.15 writes to a file; `install` is the reason that it fails for, if it does.
MISE = """#!/bin/sh
echo "$*" >>{home}/asked
case "$1 $2" in
  "where hammer@1.2.3") [ -d {home}/installed ] && echo {home}/installed ;;
  "install --yes")
    shift 2
    {install}
    for tool; do
      echo "mise ✗ $tool                                       63ms · failed: $reason" >&2
    done
    echo "mise ERROR Run with --verbose or MISE_VERBOSE=1 for more information" >&2
    exit 1
    ;;
esac
"""


def asked(tmp_path):
    return (tmp_path / "asked").read_text().splitlines()


def test_mise_installs_a_tool_that_is_not_on_path(workshop, program, tmp_path):
    program(tmp_path / "stock" / "hammer", say("1.2.3"))
    install = f"mkdir -p {tmp_path}/installed/bin; cp {tmp_path}/stock/hammer {tmp_path}/installed/bin/; exit 0"  # noqa: E501
    program(tmp_path / "a" / "mise", MISE.format(home=tmp_path, install=install))

    found = resolve_hammer(workshop, tmp_path / "a", download=True)

    assert "tools: download of hammer with mise" in workshop.shown.getvalue()
    assert (found.origin, found.path) == (Origin.MISE, tmp_path / "installed" / "bin" / "hammer")


def test_mise_may_read_the_file_of_the_checkout(workshop, program, tmp_path):
    program(
        tmp_path / "a" / "mise",
        f'#!/bin/sh\necho "$PWD $MISE_TRUSTED_CONFIG_PATHS" >{tmp_path}/seen; exit 1\n',
    )

    resolve_hammer(workshop, tmp_path / "a")

    assert (tmp_path / "seen").read_text() == f"{workshop.paths.root} {workshop.paths.root}\n"


def test_a_tool_from_mise_is_not_used_if_it_prints_another_version(workshop, program, tmp_path):
    program(tmp_path / "installed" / "hammer", say("9.9.9"))
    program(tmp_path / "a" / "mise", MISE.format(home=tmp_path, install="exit 1"))

    found = resolve_hammer(workshop, tmp_path / "a")

    assert found.origin is Origin.MISSING
    assert found.remarks == ("mise installed hammer@1.2.3, but it says version 9.9.9",)


def test_a_failed_download_of_mise_is_reported_and_the_tool_is_built(workshop, program, tmp_path):
    program(tmp_path / "a" / "mise", MISE.format(home=tmp_path, install="reason='no network'"))

    found = resolve_hammer(workshop, tmp_path / "a", download=True)

    assert found.origin is Origin.MISSING
    assert found.remarks == ("mise cannot install hammer@1.2.3: no network",)


def test_a_mise_that_does_not_start_is_reported(workshop, program, tmp_path):
    program(tmp_path / "a" / "mise", "#!/bin/sh\necho 'mise ERROR no config' >&2; exit 1\n")

    found = resolve_hammer(workshop, tmp_path / "a", download=True)

    assert found.remarks == ("mise cannot install hammer@1.2.3: mise ERROR no config",)


def test_listing_the_tools_never_installs_anything(workshop, program, tmp_path):
    program(tmp_path / "a" / "mise", MISE.format(home=tmp_path, install="exit 0"))

    found = resolve_hammer(workshop, tmp_path / "a")

    assert found.remarks == ("mise does not have hammer@1.2.3",)
    assert asked(tmp_path) == ["where hammer@1.2.3"]


def test_all_missing_tools_are_installed_at_once(workshop, program, tmp_path):
    file = workshop.paths.versions
    file.write_text(
        file.read_text().replace(
            'binary = "chisel-server"', 'mise = "chisel"\nask = ["x"]\nanswer = "x"'
        )
    )
    program(tmp_path / "a" / "mise", MISE.format(home=tmp_path, install="reason=x"))

    resolve_hammer(workshop, tmp_path / "a", download=True)

    assert [line for line in asked(tmp_path) if line.startswith("install")] == [
        "install --yes hammer@1.2.3 chisel@0.4.0"
    ]
