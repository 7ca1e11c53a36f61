"""Secret references and templates, read as `op` reads them.

The texts of refusals are those of `op` 2.34 and 2.39, so that what classifies them cannot tell the stand-in from the real command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lab.simulated.vault import Account, Item, Vault

PREFIX = "op://"
_NAME = re.compile(r"[A-Za-z0-9\-_. ]+")

# A template is read from left to right: what is in braces goes first, then bare references, then variables.
_TEMPLATE = re.compile(
    r"\{\{\s*\"(?P<literal>(?:[^\"\\]|\\.)*)\"\s*\}\}"
    r"|\{\{\s*(?P<enclosed>op://[A-Za-z0-9\-?_./ ]*?)\s*\}\}"
    r"|(?<![A-Za-z0-9\-+\\.])(?P<bare>op://[A-Za-z0-9\-?_./]*)"
)
_VARIABLE = re.compile(
    r"\$\{\s*(?P<enclosed>[A-Za-z_]\w*)\s*(?::-(?P<default>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)"
)


class Refused(Exception):
    """`op` would say no; the text is what it would say."""


def resolve_for_read(account: Account, reference: str) -> str:
    """Return what `op read` prints for a reference."""
    try:
        return _resolved(
            account, reference, "could not get item {vault_name}/{item_name}: {missing}"
        )
    except Refused as refusal:
        raise Refused(f"could not read secret '{reference}': {refusal}") from None


def resolve_for_inject(account: Account, reference: str) -> str:
    """Return what `op inject` puts in a reference's place."""
    return _resolved(
        account,
        reference,
        "could not resolve item UUID for item {item_name}: could not find item {item_name} in vault {vault_id}",
    )


def render(template: str, resolve: Callable[[str], str], environment: Mapping[str, str]) -> str:
    """Return a template with every variable and every reference replaced; references in comments count as well."""

    def replace(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return match["literal"].replace('\\"', '"')
        return resolve(match["enclosed"] or match["bare"])

    return _TEMPLATE.sub(replace, _with_variables(template, environment))


def one_item(vault: Vault, name: str) -> Item:
    """Return the item of that name, or refuse as `op item get` and `op document get` do."""
    found = vault.find(name)
    if not found:
        raise Refused(
            f'"{name}" isn\'t an item in the "{vault.name}" vault. Specify the item with its UUID, name, or domain.'
        )
    if len(found) > 1:
        listing = "".join(
            f'\n\t* for the item "{item.title}" in vault {vault.name}: {item.id}' for item in found
        )
        raise Refused(
            f'More than one item matches "{name}". Try again and specify the item by its ID:{listing}'
        )
    return found[0]


def _resolved(account: Account, reference: str, no_item: str) -> str:
    vault_name, item_name, section, label = _parts(reference)
    vault = account.vault(vault_name)
    if vault is None:
        raise Refused(
            f'"{vault_name}" isn\'t a vault in this account. Specify the vault with its ID or name.'
        )
    if not vault.find(item_name):
        missing = f'"{item_name}" isn\'t an item in the "{vault_name}" vault. Specify the item with its UUID, name, or domain.'
        raise Refused(
            no_item.format(
                vault_name=vault_name, item_name=item_name, vault_id=vault.id, missing=missing
            )
        )
    value = one_item(vault, item_name).value(section, label)
    if value is None:
        field = label if section is None else f"{section}.{label}"
        raise Refused(f"item '{vault_name}/{item_name}' does not have a field '{field}'")
    return value


def _parts(reference: str) -> tuple[str, str, str | None, str]:
    if not reference.startswith(PREFIX):
        raise Refused(
            f"invalid secret reference '{reference}': secret reference is not prefixed with \"op://\""
        )
    parts = reference.removeprefix(PREFIX).split("/")
    for character in reference.removeprefix(PREFIX):
        if character not in "/?=" and not _NAME.fullmatch(character):
            raise Refused(
                f"invalid secret reference '{reference}': invalid character in secret reference: '{character}'"
            )
    if len(parts) < 3 or not all(parts):  # noqa: PLR2004 - vault, item, field
        few = "too few '/': secret references should have at least vault, item and field specified"
        raise Refused(f"invalid secret reference '{reference}': {few}")
    if len(parts) > 4:  # noqa: PLR2004 - vault, item, section, field
        raise Refused(
            f"invalid secret reference '{reference}': too many '/': secret references can only have up to four parts"
        )
    section = parts[2] if len(parts) == 4 else None  # noqa: PLR2004
    return parts[0], parts[1], section, parts[-1]


def _with_variables(template: str, environment: Mapping[str, str]) -> str:
    # Names of variables ignore case in templates.
    known = {name.casefold(): value for name, value in environment.items()}

    def replace(match: re.Match[str]) -> str:
        name = match["enclosed"] or match["bare"]
        value = known.get(name.casefold(), match["default"])
        if value is None:
            # What `op` says here is not on record; that it fails is.
            raise Refused(f"could not resolve variable '{name}': it is not set in the environment")
        return value

    return _VARIABLE.sub(replace, template)
