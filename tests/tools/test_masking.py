"""The masker replaces every secret and nothing else."""

from __future__ import annotations

import base64
import json
import textwrap
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.masking import KEY_LINES_MAX, MASK, SHORTEST_SECRET, KeyLines, Masker

SECRETS = st.text(
    st.characters(codec="ascii", categories=["L", "N"]), min_size=SHORTEST_SECRET, max_size=40
)


@given(secret=SECRETS, before=st.text(max_size=40), after=st.text(max_size=40))
def test_a_known_secret_never_survives(secret: str, before: str, after: str):
    assert secret not in Masker([secret])(before + secret + after).replace(MASK, "")


@given(text=st.text(st.characters(codec="ascii", categories=["L", "N", "Z"]), max_size=60))
def test_without_secrets_plain_text_is_unchanged(text: str):
    assert Masker()(text) == text


def test_each_line_of_a_secret_is_masked_on_its_own():
    assert Masker(["first-line\nsecond-line"])("it said second-line") == f"it said {MASK}"


def test_shapes_of_secrets_are_masked_even_if_unknown():
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----"

    assert Masker()(f"key: {key} AGE-SECRET-KEY-1QQQQ") == f"key: {MASK} {MASK}"


KEYS = st.binary(min_size=32, max_size=200).map(lambda content: base64.b64encode(content).decode())
"""A key as in a file."""

PEM = st.binary(min_size=100, max_size=400).map(
    lambda content: (
        f"-----BEGIN TEST-----\n{chr(10).join(textwrap.wrap(base64.b64encode(content).decode(), 64))}\n-----END TEST-----\n"  # noqa: E501
    )
)
"""A multi-line key without a known shape."""


def pieces_left(secret: str, text: str) -> list[str]:
    """Return each run of 15 characters of a secret that a text still contains."""
    return [
        secret[start : start + 15]
        for start in range(len(secret) - 14)
        if secret[start : start + 15] in text
    ]


def lines_left(secret: str, text: str) -> list[str]:
    return [piece for line in secret.splitlines() for piece in pieces_left(line, text)]


@given(secret=KEYS, before=st.text(st.characters(codec="ascii", categories=["L"]), max_size=20))
def test_a_key_is_masked_in_base64_at_any_offset(secret: str, before: str):
    encoded = base64.b64encode(f"{before} {secret}: and more".encode()).decode()
    start = len(before) + 1
    of_the_secret = encoded[start * 4 // 3 + 1 : (start + len(secret)) * 4 // 3]

    shown = Masker([secret])(encoded)

    assert pieces_left(of_the_secret, encoded)
    assert pieces_left(of_the_secret, shown) == []


@given(secret=KEYS, width=st.integers(16, 80))
def test_a_key_is_masked_when_split_into_lines(secret: str, width: int):
    shown = Masker([secret])("\n".join(textwrap.wrap(secret, width)))

    assert pieces_left(secret, shown.replace("\n", "")) == []


@given(secret=KEYS, width=st.integers(20, 80))
def test_a_key_is_masked_when_its_base64_is_split_into_lines(secret: str, width: int):
    encoded = base64.b64encode(secret.encode()).decode()

    shown = Masker([secret])("\n".join(textwrap.wrap(encoded, width)))

    assert pieces_left(encoded, shown.replace("\n", "")) == []


@given(secret=PEM)
@pytest.mark.parametrize(
    "printed",
    [
        lambda secret: secret,
        lambda secret: json.dumps({"identity": secret}),
        lambda secret: json.dumps(json.dumps({"identity": secret})),
        lambda secret: secret.replace("\n", "\n    "),
        lambda secret: "\n".join(f"> {line}" for line in secret.splitlines()),
        lambda secret: quote(secret, safe=""),
        lambda secret: repr(secret.encode()),
    ],
    ids=("raw", "json", "json-in-json", "indented", "quoted", "address", "bytes"),
)
def test_a_multi_line_key_is_masked_in_every_form(secret: str, printed):
    assert lines_left(secret, Masker([secret])(printed(secret))) == []


@given(secret=PEM)
def test_a_secret_known_in_base64_is_masked_in_plain_text_too(secret: str):
    assert lines_left(secret, Masker([base64.b64encode(secret.encode()).decode()])(secret)) == []


def test_a_secret_learned_later_is_masked_from_then_on():
    masker = Masker()
    before = masker("standin-0123456789abcdef")
    masker.learn("standin-0123456789abcdef")

    assert (before, masker("standin-0123456789abcdef")) == ("standin-0123456789abcdef", MASK)


def test_an_unknown_key_is_recognized_line_by_line():
    stream = KeyLines()
    lines = [
        "first",
        "-----BEGIN RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA",
        "qqqq",
        "-----END RSA PRIVATE KEY-----",
        "last",
    ]

    assert [stream.is_within_a_key(line) for line in lines] == [
        False,
        False,
        True,
        True,
        True,
        False,
    ]


def test_an_endless_key_hides_only_a_limited_number_of_lines():
    stream = KeyLines()
    stream.is_within_a_key("error: expected -----BEGIN PRIVATE KEY-----")

    assert [stream.is_within_a_key("line") for _ in range(KEY_LINES_MAX + 1)] == [
        True
    ] * KEY_LINES_MAX + [False]


def test_an_error_stays_readable_next_to_secrets():
    masker = Masker(
        [
            "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo=",
            "abcdef.0123456789abcdef",
            "standin-0123456789abcdef0123456789abcdef",
        ]
    )
    said = "kube-system/cilium-operator-7d9b8c6f5-abcde: helm.sh/chart=cilium-1.18.5, https://127.25.11.10:6443/api/v1/namespaces/kube-system"

    assert masker(said) == said
