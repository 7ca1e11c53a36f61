"""Masking: no secret reaches the journal, the report, the terminal or an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "********"

SHORTEST_SECRET = 6
"""Shorter texts are not masked by value: they would mask half of every sentence."""

_SHAPES = (
    # An AGE private key.
    re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+"),
    # PEM private keys of any kind, on one line or on many.
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    # Base64 of "-----BEGIN", as kubeconfig and talosconfig carry keys.
    re.compile(r"(?:client-key-data|token|key):\s*(?:LS0tLS1CRUdJTi[A-Za-z0-9+/=]+)"),
    re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{64,}"),
    # Service account and 1Password tokens.
    re.compile(r"eyJhbGciOi[A-Za-z0-9_\-.]{40,}"),
    re.compile(r"ops_[A-Za-z0-9_\-]{40,}"),
)


class Masker:
    """Replace known secrets, and everything that has the shape of one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known: set[str] = set()
        for secret in secrets:
            known.update(part.strip() for part in (secret, *secret.splitlines()) if len(part.strip()) >= SHORTEST_SECRET)
        # The longest first, so that a secret within a secret leaves no rest.
        self._known = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced by a fixed mask."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        for shape in _SHAPES:
            text = shape.sub(MASK, text)
        return text
