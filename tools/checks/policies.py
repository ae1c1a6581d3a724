"""Lint IAM policies with parliament: {"name": policy document as text} on stdin, a list of findings on stdout.

Parliament carries its own copy of the actions, resources and conditions of AWS, so it needs no network.
"""

import json
import sys

import parliament


def rules(finding) -> list[str]:
    """The finding's rule; once for each action where parliament lists actions, so that each needs a reason of its own."""
    if not isinstance(finding.detail, list):
        return [finding.issue]
    actions = [entry["action"] if isinstance(entry, dict) else str(entry) for entry in finding.detail]
    return [f"{finding.issue}[{action}]" for action in actions]


def findings(policies: dict[str, str]) -> list[dict[str, str]]:
    found = []
    for name, document in policies.items():
        for finding in parliament.analyze_policy_string(document).findings:
            found += [{"where": name, "rule": rule, "message": str(finding.detail)} for rule in rules(finding)]
    return found


if __name__ == "__main__":
    json.dump(findings(json.load(sys.stdin)), sys.stdout)
