"""An AGE public key carries a checksum that finds any mistyped character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrage import x25519

from firstlight.definition.age import is_recipient

STORY = "age1j3hsfptdfsfwvkf504etjkrtmajny9csrfh5s24uqh6fchmg5dgqg087ek"


def test_the_key_of_the_story_is_well_formed():
    assert is_recipient(STORY)


def test_keys_made_by_age_are_well_formed():
    assert all(is_recipient(str(x25519.Identity.generate().to_public())) for _ in range(20))


@given(
    place=st.integers(min_value=4, max_value=len(STORY) - 1),
    letter=st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"),
)
def test_any_mistyped_letter_is_found(place: int, letter: str):
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
def test_other_text_is_refused(text: str):
    assert not is_recipient(text)


def test_a_key_of_another_length_is_refused_though_its_checksum_holds():
    # Bech32's known weakness: before a final p, any number of q leaves the checksum as it was.
    keys = (str(x25519.Identity.generate().to_public()) for _ in range(2_000))
    key = next(key for key in keys if key.endswith("p"))

    assert not is_recipient(f"{key[:-1]}qp")
