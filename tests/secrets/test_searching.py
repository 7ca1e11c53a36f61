"""The search finds a leaked secret in every form and in every process."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from lab.simulated.workstation import new_deploy_key
from tests.secrets import execs
from tests.secrets.canaries import canaries, texts_in
from tests.waiting import until

KEY = new_deploy_key("a comment")
TWIN = new_deploy_key("a comment")
TOKEN = "standin-0123456789abcdef0123456789abcdef"
CANARIES = canaries({"the deploy key": KEY.identity, "a token": TOKEN}, (KEY.public, TWIN.identity))

WAYS = {
    "clear": lambda secret: f"it is {secret}, as you see",
    "json": lambda secret: json.dumps({"identity": secret}),
    "json in json": lambda secret: json.dumps({"last": json.dumps({"identity": secret})}),
    "a dataclass": lambda secret: repr({"identity": secret.encode()}),
    "an address": lambda secret: f"https://user:{quote(secret, safe='')}@host",
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 of more": lambda secret: base64.b64encode(f"key: {secret}\n".encode()).decode(),
    "base64 of base64": lambda secret: base64.b64encode(base64.b64encode(secret.encode())).decode(),
    "base64 for addresses": lambda secret: base64.urlsafe_b64encode(
        f"--{secret}".encode()
    ).decode(),
    "base64 in lines": lambda secret: "\n    ".join(
        textwrap.wrap(base64.b64encode(secret.encode()).decode(), 32)
    ),
    # In OpenSSH's format, the private half ends on the last line before the armor.
    "a part": lambda secret: f"...{secret.splitlines()[-2:][0][:22]}...",
}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "base64 of base64"])
@pytest.mark.parametrize(
    ("name", "secret"), [("the deploy key", KEY.identity), ("a token", TOKEN)], ids=("key", "token")
)
def test_a_secret_is_found_in_every_form(name: str, secret: str, way: str):
    assert CANARIES.found_in(f"before\n{WAYS[way](secret)}\nafter") == [name]


def test_a_base64_secret_is_found_in_plain_text_and_vice_versa():
    kept = canaries(
        {"kept": base64.b64encode(KEY.identity.encode()).decode()}, (KEY.public, TWIN.identity)
    )

    assert kept.found_in(KEY.identity) == ["kept"]
    assert kept.found_in(WAYS["base64 of base64"](KEY.identity)) == ["kept"]


def test_public_and_masked_text_is_not_found():
    said = f"{KEY.public} {TWIN.identity.splitlines()[0]} b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ ******** standin-"  # noqa: E501

    assert CANARIES.found_in(said) == []


def test_a_secret_that_cannot_be_found_is_refused():
    with pytest.raises(ValueError, match="short has no piece that is not public"):
        canaries({"short": "abc"})


def test_a_secret_is_found_in_an_archive(tmp_path: Path):
    path = tmp_path / "diagnostics-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("diagnostics-1/talos/logs.txt")
        entry.size = len(TOKEN)
        archive.addfile(entry, io.BytesIO(TOKEN.encode()))

    assert TOKEN.encode() not in path.read_bytes()
    assert CANARIES.found_in_files([path]) == [
        "diagnostics-1.tar.gz/diagnostics-1/talos/logs.txt: a token"
    ]
    assert [name for name, _ in texts_in(path)] == [
        "diagnostics-1.tar.gz/diagnostics-1/talos/logs.txt"
    ]


@pytest.fixture(scope="module")
def watching() -> None:
    why = execs.why_not()
    if why:
        pytest.skip(f"processes cannot be watched here: {why}")


GRANDCHILD = f"import subprocess; subprocess.run(['/bin/sh', '-c', ': {TOKEN}; /bin/true {TOKEN[:24]} & wait'], env={{'KEY': '{TOKEN}'}})"  # noqa: E501


def test_a_secret_in_an_argument_of_a_short_lived_grandchild_is_found(
    watching: None, tmp_path: Path
):
    program = tmp_path / "program.py"
    program.write_text(GRANDCHILD)

    done = execs.watched(
        [sys.executable, str(program)], tmp_path / "log", cwd=tmp_path, env=os.environ, timeout_s=60
    )

    started = execs.read(tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert [each.argv[0] for each in started] == [sys.executable, "/bin/sh", "/bin/true"]
    assert [CANARIES.found_in("\0".join(each.argv)) for each in started] == [
        [],
        ["a token"],
        ["a token"],
    ]
    assert [CANARIES.found_in("\0".join(each.environment)) for each in started] == [
        [],
        ["a token"],
        ["a token"],
    ]


def test_a_process_that_a_thread_starts_is_seen(watching: None, tmp_path: Path):
    program = "import subprocess, threading; t = threading.Thread(target=subprocess.run, args=(['/bin/true', 'from a thread'],)); t.start(); t.join()"  # noqa: E501

    execs.watched(
        [sys.executable, "-c", program],
        tmp_path / "log",
        cwd=tmp_path,
        env=os.environ,
        timeout_s=60,
    )

    assert execs.read(tmp_path / "log")[-1].argv == ("/bin/true", "from a thread")


def test_the_command_keeps_its_exit_code_output_and_signals(watching: None, tmp_path: Path):
    said = execs.watched(
        ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"],
        tmp_path / "log",
        cwd=tmp_path,
        env=os.environ,
        timeout_s=60,
    )
    words = [
        sys.executable,
        execs.__file__,
        str(tmp_path / "log"),
        "/bin/sh",
        "-c",
        "trap 'exit 5' TERM; echo ready; while :; do /bin/true; done",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        told_s = time.monotonic()
        code = process.wait(timeout=60)

    assert (said.returncode, said.stdout, said.stderr) == (7, "out\n", "err\n")
    assert code == 5
    assert time.monotonic() - told_s < 30


def test_a_process_that_outlives_the_command_continues(watching: None, tmp_path: Path):
    words = [
        "/bin/sh",
        "-c",
        f"(while [ ! -e {tmp_path}/go ]; do :; done; echo still here > {tmp_path}/said) > {tmp_path}/out 2>&1 &",  # noqa: E501
    ]

    execs.watched(words, tmp_path / "log", cwd=tmp_path, env=os.environ, timeout_s=60)

    (tmp_path / "go").touch()
    assert until((tmp_path / "said").exists, within_s=30)
