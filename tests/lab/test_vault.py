"""References and templates follow 1Password's documentation, with `op`'s own refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.simulated.vault import Account, Item, Refused, render, resolve_for_inject, resolve_for_read


@pytest.fixture
def account() -> Account:
    made = Account()
    made.store("k8s-ops", "deploy key", "", "identity", "PRIVATE")
    made.store("k8s-ops", "deploy key", "host", "port", "22")
    made.vaults[0].items.append(
        Item("notes", category="DOCUMENT", file_name="notes.md", content="text")
    )
    return made


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("op://k8s-ops/deploy key/identity", "PRIVATE"),
        ("op://K8S-OPS/Deploy Key/IDENTITY", "PRIVATE"),
        ("op://k8s-ops/deploy key/host/port", "22"),
        ("op://k8s-ops/notes/notes.md", "text"),
    ],
)
def test_a_valid_reference_resolves(account: Account, reference: str, value: str):
    assert resolve_for_read(account, reference) == value
    assert resolve_for_inject(account, reference) == value


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (
            "op://nowhere/a/b",
            '"nowhere" isn\'t a vault in this account. Specify the vault with its ID or name.',
        ),
        (
            "op://k8s-ops/deploy key/nothing",
            "item 'k8s-ops/deploy key' does not have a field 'nothing'",
        ),
        (
            "op://k8s-ops/deploy key/no/port",
            "item 'k8s-ops/deploy key' does not have a field 'no.port'",
        ),
        (
            "op://k8s-ops/identity",
            "too few '/': secret references should have at least vault, item and field specified",
        ),
        ("op://k8s-ops//identity", "too few '/'"),
        ("op://a/b/c/d/e", "too many '/'"),
        ("op://k8s-ops/key (old)/identity", "invalid character in secret reference: '('"),
        ("k8s-ops/a/b", 'secret reference is not prefixed with "op://"'),
    ],
)
def test_an_invalid_reference_is_refused(account: Account, reference: str, says: str):
    with pytest.raises(Refused) as read:
        resolve_for_read(account, reference)
    with pytest.raises(Refused) as injected:
        resolve_for_inject(account, reference)

    assert says in str(read.value)
    assert str(read.value).startswith(f"could not read secret '{reference}': ")
    assert says in str(injected.value)


def test_read_and_inject_report_a_missing_item_differently(account: Account):
    with pytest.raises(
        Refused,
        match=r"^could not read secret .*: could not get item k8s-ops/gone: "
        r"\"gone\" isn't an item in the \"k8s-ops\" vault",
    ):
        resolve_for_read(account, "op://k8s-ops/gone/x")
    with pytest.raises(
        Refused,
        match=r"^could not resolve item UUID for item gone: "
        rf"could not find item gone in vault {account.vaults[0].id}$",
    ):
        resolve_for_inject(account, "op://k8s-ops/gone/x")


def test_two_items_of_one_name_are_distinguished_only_by_id(account: Account):
    account.vaults[0].items.append(Item("deploy key"))

    with pytest.raises(Refused, match="More than one item matches"):
        resolve_for_read(account, "op://k8s-ops/deploy key/identity")
    assert (
        resolve_for_read(account, f"op://k8s-ops/{account.vaults[0].items[0].id}/identity")
        == "PRIVATE"
    )


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("a: {{ op://v/i/f }}", "a: <op://v/i/f>"),
        ('a: "op://v/i/f"', 'a: "<op://v/i/f>"'),
        ("# see op://v/i/f, please", "# see <op://v/i/f>, please"),
        ("x-op://v/i/f", "x-op://v/i/f"),
        ('{{ "{{ op://v/i/f }}" }}', "{{ op://v/i/f }}"),
        (
            "{{ op://v/with space/f }}",
            "{{ <op://v/with space/f> }}".replace("{{ ", "").replace(" }}", ""),
        ),
        ("{{ .Values.x }}", "{{ .Values.x }}"),
        ("op://${VAULT:-dev}/i/f $NAME", "<op://dev/i/f> me"),
    ],
)
def test_a_template_is_rendered_by_the_documented_rules(template: str, rendered: str):
    assert render(template, lambda reference: f"<{reference}>", {"name": "me"}) == rendered


def test_an_unset_variable_is_refused():
    with pytest.raises(Refused, match="variable 'NOWHERE'"):
        render("$NOWHERE", str, {})


@given(st.text(max_size=300))
def test_a_template_without_references_or_variables_stays_unchanged(text: str):
    if "op://" not in text and "$" not in text and "{{" not in text:
        assert render(text, lambda _reference: "SECRET", {}) == text
