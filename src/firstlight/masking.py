"""Mask secrets in every form in which a tool may print them.

This keeps them out of the journal, the report, the terminal, diagnostics and errors.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

MASK = "********"

SHORTEST_SECRET = 6
"""Shorter texts are not masked by value, because they occur in ordinary words."""

PIECE = 12
STRIDE = 4
"""Any 15 characters of a long secret contain one of its pieces: PIECE characters, every STRIDE.

So a secret is also recognized when it is split.
"""

_TOKEN = re.compile(r"[A-Za-z0-9+/_=-]{12,}")
"""The characters of keys, tokens and base64; words, addresses and versions are shorter."""

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{16,}={0,2}\s*")

_ALIGNED_MIN = 12
"""Fewer bytes leave too few characters in the base64 of a longer text."""

_SHAPES = (
    # An AGE private key.
    re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+"),
    # PEM private keys of any kind, on one or more lines.
    re.compile(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
        re.DOTALL,
    ),
    # Base64 of "-----BEGIN", as in a kubeconfig or talosconfig.
    re.compile(r"(?:client-key-data|token|key):\s*(?:LS0tLS1CRUdJTi[A-Za-z0-9+/=]+)"),
    re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{64,}"),
    # Service account and 1Password tokens.
    re.compile(r"eyJhbGciOi[A-Za-z0-9_\-.]{40,}"),
    re.compile(r"ops_[A-Za-z0-9_\-]{40,}"),
)

KEY_LINES_MAX = 200
"""The longest key block that is masked whole; an 8192-bit RSA key has about a hundred lines.

Without a limit, a text that only mentions the first line of a key would hide all that follows."""

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")


class Masker:
    """Replaces known secrets, in every form, and everything that has the shape of a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._learnt: set[str] = set()
        self._known: tuple[str, ...] = ()
        self._pieces: frozenset[str] = frozenset()
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Mask these texts too from now on."""
        new = set(secrets) - self._learnt
        if not new:
            return
        self._learnt |= new
        forms = {form for secret in new for form in _forms(secret) if len(form) >= SHORTEST_SECRET}
        # Longest first, so that a secret within another leaves no rest. The tuple is replaced as a
        # whole, because other threads are using it.
        self._known = tuple(sorted({*self._known, *forms}, key=len, reverse=True))
        self._pieces = self._pieces.union(piece for form in forms for piece in _pieces(form))

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced by `MASK`."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        for shape in _SHAPES:
            text = shape.sub(MASK, text)
        return _TOKEN.sub(self._token, text) if self._pieces else text

    def _token(self, found: re.Match[str]) -> str:
        token, pieces = found.group(), self._pieces
        return (
            MASK
            if any(
                token[start : start + PIECE] in pieces for start in range(len(token) - PIECE + 1)
            )
            else token
        )


class KeyLines:
    """Recognizes the lines of a multi-line key in a stream; a single line does not show it."""

    def __init__(self) -> None:
        self._left = 0

    def is_within_a_key(self, line: str) -> bool:
        """Report whether the next line of the stream follows the first line of a key."""
        if self._left:
            self._left = 0 if _KEY_ENDS.search(line) else self._left - 1
            return True
        begins = _KEY_BEGINS.search(line)
        if begins is not None and _KEY_ENDS.search(line, begins.end()) is None:
            self._left = KEY_LINES_MAX
        return False


def _forms(secret: str) -> Iterator[str]:
    """Yield every printed form of a secret: whole, by line, in JSON, URL-encoded, and in base64."""
    for plain in (secret, *_decoded(secret)):
        stripped = plain.strip()
        yield from (stripped, *(line.strip() for line in plain.splitlines()))
        yield from (json.dumps(stripped)[1:-1], quote(stripped, safe=""))
        for content in {plain.encode(), stripped.encode()}:
            encoded = base64.b64encode(content).decode()
            yield from (encoded, encoded.translate(str.maketrans("+/", "-_")))
            if len(content) >= _ALIGNED_MIN:
                yield from _within_base64(content)


def _decoded(secret: str) -> Iterator[str]:
    """Yield the text in a base64 secret; a key may be stored in one form, printed in the other."""
    if _BASE64.fullmatch(secret):
        try:
            text = base64.b64decode("".join(secret.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        if text.isascii() and (text.isprintable() or "\n" in text):
            yield text


def _within_base64(content: bytes) -> Iterator[str]:
    """Yield the part of a secret that is visible in the base64 of a longer text, per alignment."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode().rstrip("=")
        # The first and last characters also encode bits of the surrounding text.
        yield encoded[(0, 2, 3)[before] : -1]


def _pieces(form: str) -> Iterator[str]:
    for token in _TOKEN.findall(form):
        yield from (
            token[start : start + PIECE] for start in range(0, len(token) - PIECE + 1, STRIDE)
        )
