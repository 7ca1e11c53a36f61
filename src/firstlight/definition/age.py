"""AGE public keys: telling a well-formed one from a mistyped one.

An X25519 recipient is 32 bytes in Bech32 (BIP 173) with the prefix `age`; its checksum finds any mistyped character.
"""

from __future__ import annotations

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_PREFIX = "age"
_LENGTH = 62
"""The prefix, the separator, 52 characters of key, 6 of checksum."""
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def is_recipient(text: str) -> bool:
    """Report whether a text is a well-formed AGE public key."""
    prefix, _, data = text.rpartition("1")
    if prefix != _PREFIX or len(text) != _LENGTH or not set(data) <= set(_ALPHABET):
        return False
    expanded = (
        [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    )
    return _checksum([*expanded, *(_ALPHABET.index(letter) for letter in data)]) == 1


def _checksum(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum
