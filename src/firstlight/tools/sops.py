"""sops: decrypt files, and know which of their values were encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from firstlight.definition.sops import ENCRYPTED
from firstlight.tools.reading import Unreadable, read_yaml_documents
from firstlight.tools.runner import Runner

DECRYPT_S = 20.0


class Sops:
    """Decrypts with the key in SOPS_AGE_KEY_FILE."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def decrypt(self, path: Path) -> str:
        """Return the plain text of a file, and mask its encrypted values from now on.

        Raises:
            ToolFailed: The key does not decrypt the file.
        """
        result = self._runner.run(decrypt_command(path), timeout_s=DECRYPT_S, quiet=True)
        step = (
            "put the AGE key that .sops.yaml names into SOPS_AGE_KEY_FILE "
            "(~/.config/sops/age/keys.txt)"
        )
        plain = result.raise_on_failure(f"decrypt {path.name}", next_step=step).stdout
        self._runner.mask_secrets(*encrypted_values(path, plain))
        return plain


def decrypt_command(path: Path) -> list[str]:
    """Return the argument list that prints the plain text of a file."""
    return ["sops", "--decrypt", str(path)]


def encrypted_values(path: Path, plain: str) -> list[str]:
    """Return the plain text of each encrypted value of a file; all other values are public."""
    try:
        encrypted = read_yaml_documents(path.read_text(encoding="utf-8"), path.name)
        opened = read_yaml_documents(plain, f"what {path.name} decrypts to")
    except (Unreadable, OSError, UnicodeDecodeError):
        # A criterion that needs the file reports this.
        return []
    return [
        value
        for before, after in zip(encrypted, opened, strict=False)
        for value in _opened(before, after)
    ]


def _opened(before: object, after: object) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() & after.keys():
            yield from _opened(before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=False):
            yield from _opened(one, other)
    elif isinstance(before, str) and before.startswith(ENCRYPTED) and after is not None:
        yield str(after)
