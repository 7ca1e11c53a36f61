"""The vault holds a fitting value for every reference of the template."""

from __future__ import annotations

import base64
import json
from ipaddress import IPv4Network

import pytest

from firstlight.errors import TargetError
from lab.simulated import stand_in_secrets, workstation
from lab.simulated.addresses import endpoints
from lab.simulated.paths import LabPaths
from lab.simulated.vault import Refused, changing, read_account, resolve_for_read
from tests.lab.support import ROOT

LAB = endpoints(IPv4Network("10.25.11.0/24"))
TEMPLATE = (ROOT / "bootstrap" / "infra" / "secrets.yaml.tpl").read_text()
NEW = '---\nkind: Secret\nstringData:\n  token: "op://k8s-ops/new/token"\n'


@pytest.fixture(autouse=True)
def prepared(paths: LabPaths):
    paths.git.mkdir()
    workstation.age_recipient(paths)


def value(paths: LabPaths, reference: str) -> str:
    return resolve_for_read(read_account(paths.vault, workstation.vault_key(paths)), reference)


def test_every_reference_of_the_definition_resolves(paths: LabPaths):
    assert (
        stand_in_secrets.fill_vault(paths, TEMPLATE, LAB)
        == len(list(stand_in_secrets.places(TEMPLATE)))
        > 0
    )

    for place in stand_in_secrets.places(TEMPLATE):
        assert value(paths, place.reference.group())


def test_the_age_key_is_the_one_that_opens_the_tree(paths: LabPaths):
    stand_in_secrets.fill_vault(paths, TEMPLATE, LAB)

    assert value(paths, "op://k8s-ops/sops-age/private-key") == workstation.age_key(paths)


def test_the_deploy_key_is_registered_read_only_and_its_host_is_pinned(paths: LabPaths):
    stand_in_secrets.fill_vault(paths, TEMPLATE, LAB)

    fields = {
        name: base64.b64decode(value(paths, f"op://k8s-ops/infra-deploy-key/{name}")).decode()
        for name in stand_in_secrets.DEPLOY_KEY_FIELDS
    }
    (registered,) = json.loads((paths.git / "deploy-keys.json").read_text())
    assert registered["read_only"] is True
    assert registered["key"] == fields["identity.pub"].strip()
    assert fields["identity"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert (
        fields["known_hosts"]
        == f"[127.25.11.1]:2222 {workstation.host_key(paths.git / 'host_key')}\n"
    )


def test_the_private_deploy_key_exists_only_in_the_vault(paths: LabPaths):
    stand_in_secrets.fill_vault(paths, TEMPLATE, LAB)
    encoded = value(paths, "op://k8s-ops/infra-deploy-key/identity")
    # The first lines of all such keys are the same. The third one is unique.
    body = base64.b64decode(encoded).splitlines()[3]

    holders = [
        file
        for file in paths.state.rglob("*")
        if file.is_file() and (body in file.read_bytes() or encoded.encode() in file.read_bytes())
    ]
    assert holders == []


def test_filling_again_changes_nothing(paths: LabPaths):
    stand_in_secrets.fill_vault(paths, TEMPLATE, LAB)
    before = paths.vault.read_bytes()

    assert stand_in_secrets.fill_vault(paths, TEMPLATE, LAB) == 0
    assert paths.vault.read_bytes() == before


def test_a_new_reference_gets_a_value_and_the_others_keep_theirs(paths: LabPaths):
    stand_in_secrets.fill_vault(paths, TEMPLATE, LAB)
    identity = value(paths, "op://k8s-ops/infra-deploy-key/identity")

    assert stand_in_secrets.fill_vault(paths, TEMPLATE + NEW, LAB) == 1
    assert value(paths, "op://k8s-ops/new/token").startswith("standin-")
    assert value(paths, "op://k8s-ops/infra-deploy-key/identity") == identity


def test_a_removed_item_stays_removed(paths: LabPaths):
    stand_in_secrets.fill_vault(paths, TEMPLATE, LAB)
    with changing(paths.vault, workstation.vault_key(paths)) as account:
        account.vaults[0].items.clear()

    assert stand_in_secrets.fill_vault(paths, TEMPLATE, LAB) == 0
    with pytest.raises(Refused, match="isn't an item"):
        value(paths, "op://k8s-ops/sops-age/private-key")


def test_an_invalid_template_is_an_error(paths: LabPaths):
    with pytest.raises(TargetError, match=r"secrets.yaml.tpl is not valid YAML"):
        stand_in_secrets.fill_vault(paths, "a: [", LAB)


def test_a_lost_age_key_stays_lost_and_is_reported(paths: LabPaths):
    recipient = workstation.age_recipient(paths)
    paths.age_keys.unlink()

    assert workstation.age_recipient(paths) == recipient
    assert not paths.age_keys.exists()
    with pytest.raises(TargetError, match="holds no key"):
        workstation.age_key(paths)


def test_signing_out_survives_the_next_up(paths: LabPaths):
    key = workstation.vault_key(paths)
    paths.op_session.unlink()

    assert workstation.vault_key(paths) == key
    assert not paths.op_session.exists()
