"""Search for secrets that must not leak: in plain text, in base64, by line, and in pieces.

The forms are derived here and not by the masker, so that a form that it does not know is found.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PIECE = 15
"""This many consecutive characters identify a key, and do not occur by accident."""

_TOKEN = re.compile(rf"[A-Za-z0-9+/_=-]{{{PIECE},}}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_ARMOUR = re.compile(r"-----[A-Z ]+-----")
_URLSAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True)
class Canaries:
    """Secrets by name, prepared for a search.

    Attributes:
        secrets: The secrets by name.
        pieces: Every piece of every form, with the name of its secret.
    """

    secrets: Mapping[str, str]
    pieces: Mapping[str, str]

    def found_in(self, text: str) -> list[str]:
        """Return the names of the secrets in a text."""
        return sorted(
            {
                self.pieces[piece]
                for token in _TOKEN.findall(text)
                for piece in _windows(token)
                if piece in self.pieces
            }
        )

    def found_in_files(self, paths: Iterable[Path]) -> list[str]:
        """Return each file with a secret, and the secret's name; archives are searched too."""
        return [
            f"{name}: {secret}"
            for path in paths
            for name, text in texts_in(path)
            for secret in self.found_in(text)
        ]


def canaries(secrets: Mapping[str, str], public: Iterable[str] = ()) -> Canaries:
    """Prepare secrets for a search.

    Args:
        secrets: The secrets by name.
        public: Texts that share pieces with them and are public: their public halves, and other
            keys of the same kinds.

    Raises:
        ValueError: No piece of a secret would be searched for.
    """
    known = {piece for text in public for piece in _pieces(text)}
    pieces: dict[str, str] = {}
    for name, secret in secrets.items():
        own = set(_pieces(secret)) - known
        if not own:
            raise ValueError(f"{name} has no piece that is not public")
        pieces |= dict.fromkeys(own, name)
    return Canaries(dict(secrets), pieces)


def texts_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of a file, or of each file in an archive."""
    content = path.read_bytes()
    if path.name.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for entry in archive.getmembers():
                file = archive.extractfile(entry)
                if file is not None:
                    yield f"{path.name}/{entry.name}", file.read().decode(errors="replace")
        return
    yield path.name, content.decode(errors="replace")


def _pieces(secret: str) -> Iterator[str]:
    for form in _forms(secret):
        for token in _TOKEN.findall(form):
            yield from _windows(token)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret and its decoded base64, each in plain text and in base64."""
    plain, decoded = [secret.encode()], []
    for text in (secret, "".join(_ARMOUR.sub("", secret).split())):
        decoded += [
            content for token in _BASE64.findall(text) if (content := _decoded(token)) is not None
        ]
    for content in plain + decoded:
        yield content.decode(errors="replace")
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + content).decode()[4 if before else 0 :]
            yield from (encoded, encoded.translate(_URLSAFE))


def _decoded(token: str) -> bytes | None:
    try:
        return base64.b64decode(token, validate=True)
    except binascii.Error:
        return None


def _windows(token: str) -> Iterator[str]:
    return (token[start : start + PIECE] for start in range(len(token) - PIECE + 1))
