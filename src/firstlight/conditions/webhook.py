"""Condition of cert-manager's webhook: it judges a resource that nobody keeps."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.tools.classification import Class, classify
from firstlight.tools.kubectl import RULES, Kubectl

ISSUER = """apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: firstlight-webhook-probe
  namespace: cert-manager
spec:
  selfSigned: {}
"""


def webhook_answers(kubectl: Kubectl) -> Condition[str]:
    """Say when the API server accepts a dry-run Issuer, for which it has to ask cert-manager's webhook."""

    def probe() -> Observation[str]:
        result = kubectl.dry_run(ISSUER)
        said = result.said
        if result.ok:
            return holds(said, said)
        rule = classify(RULES, result.stderr)
        final = not result.timed_out and (rule is None or rule.meaning is Class.FATAL)
        return never(said) if final else not_yet(said)

    return Condition("cert-manager's webhook to answer", probe)
