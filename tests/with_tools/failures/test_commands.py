"""The commands of the failure catalogue exist in the pinned tools and take these arguments."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from firstlight.failures import ROWS

TOOLS = Path(__file__).resolve().parents[3] / ".tools" / "bin"

PINNED = ("flux", "helm", "helmfile", "kubectl", "talosctl")

OTHERS = {
    *(
        "./task",
        "age-keygen",
        "arping",
        "cat",
        "cilium",
        "date",
        "env",
        "eval",
        "git",
        "ls",
        "modprobe",
        "nc",
    ),
    *("modprobe", "nc", "op", "openssl", "ping", "ssh", "ssh-keygen", "ssh-keyscan"),
}
"""Programs that set-up does not build. `./task` has its own test, with the third cluster."""

COMMANDS = sorted({command for row in ROWS for command in row.commands})


def words_of(command: str) -> list[str]:
    """Return a command's words, with its placeholders filled in."""
    words = shlex.split(re.sub(r"<[a-z A-Z-]+>", "1", command))
    while words[0] in ("sudo", "-E") or re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return words


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_a_known_program(command: str):
    assert words_of(command)[0] in {*PINNED, *OTHERS}


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if words_of(command)[0] in PINNED]
)
def test_a_pinned_tool_takes_the_arguments_of_a_command(command: str):
    """`--help` makes a tool read all of its arguments and do nothing."""
    tool, *arguments = words_of(command)
    done = subprocess.run(
        [TOOLS / tool, *arguments, "--help"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    help_text = done.stdout + done.stderr
    # The help of a group of commands means that the command in it does not exist.
    assert "Available Commands:" not in help_text, help_text
    usage = re.search(rf"^ *{tool} .*", help_text, re.MULTILINE)
    aliases = re.search(r"^Aliases:\n(.*)", help_text, re.MULTILINE)
    assert usage is not None, help_text
    names = re.findall(r"[a-z-]+", usage.group() + (aliases.group(1) if aliases else ""))
    assert set(names) & set(arguments), f"{usage.group()!r} is the help of another command"
