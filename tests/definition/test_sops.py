"""The checksum of an AGE public key catches any mistyped character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrage import x25519

from firstlight.definition.sops import is_recipient

STORY = "age1j3hsfptdfsfwvkf504etjkrtmajny9csrfh5s24uqh6fchmg5dgqg087ek"


def test_the_key_of_the_story_is_well_formed():
    assert is_recipient(STORY)


def test_keys_that_age_generates_are_well_formed():
    assert all(is_recipient(str(x25519.Identity.generate().to_public())) for _ in range(20))


@given(
    place=st.integers(min_value=4, max_value=len(STORY) - 1),
    letter=st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"),
)
def test_any_mistyped_letter_is_detected(place: int, letter: str):
    mistyped = STORY[:place] + letter + STORY[place + 1 :]

    assert is_recipient(mistyped) == (mistyped == STORY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        STORY[:-1],
        STORY.upper(),
        f"{STORY} ",
        "AGE-SECRET-KEY-1QQQQ",
        STORY.replace("age1", "bge1"),
        "ä" * 62,
    ],
)
def test_other_text_is_rejected(text: str):
    assert not is_recipient(text)


def test_a_key_of_another_length_is_rejected_even_if_its_checksum_matches():
    # Bech32's known weakness: inserting q before a final p does not change the checksum.
    keys = (str(x25519.Identity.generate().to_public()) for _ in range(2_000))
    key = next(key for key in keys if key.endswith("p"))

    assert not is_recipient(f"{key[:-1]}qp")
