"""No secret survives the masker, and nothing else is touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firstlight.tools.masking import MASK, SHORTEST_SECRET, Masker

SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=SHORTEST_SECRET, max_size=40)


@given(secret=SECRETS, before=st.text(max_size=40), after=st.text(max_size=40))
def test_a_known_secret_never_survives(secret: str, before: str, after: str):
    assert secret not in Masker([secret])(before + secret + after).replace(MASK, "")


@given(text=st.text(st.characters(codec="ascii", categories=["L", "N", "Z"]), max_size=60))
def test_without_secrets_plain_text_stays_as_it_is(text: str):
    assert Masker()(text) == text


def test_each_line_of_a_secret_is_masked_by_itself():
    assert Masker(["first-line\nsecond-line"])("it said second-line") == f"it said {MASK}"


def test_the_shapes_of_secrets_are_masked_without_being_known():
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----"

    assert Masker()(f"key: {key} AGE-SECRET-KEY-1QQQQ") == f"key: {MASK} {MASK}"
