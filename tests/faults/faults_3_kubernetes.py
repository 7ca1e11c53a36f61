"""Faults of the control plane and of what is applied to it first: the VIP, the API server, secrets, CRDs."""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench, Case, check
from tests.faults.ways import machine

pytestmark = pytest.mark.timeout(900)

VIP = "the-cluster-endpoint-answers-on-6443"
TALOS_VIP = "the-cluster-endpoint-answers-on-50000"

CASES = (
    Case(16, "no-vip", machine("*", no_vip=True), "endpoint_answers_on_6443", VIP, "FL-016", "accept connections on port 6443", clears="refused"),
    Case(
        17,
        "vip-not-in-certificate",
        machine("*", certificate_without_vip=True),
        "endpoint_answers_on_50000",
        TALOS_VIP,
        "FL-017",
        "x509: certificate is valid for",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_control_plane_that_does_not_answer_is_named(bench: Bench, case: Case):
    check(bench.at("kubernetes"), case)
