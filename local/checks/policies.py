"""Lint IAM policies with parliament: {"name": policy document as text} on stdin, a list of findings on stdout.

Parliament carries its own copy of the actions, resources and conditions of AWS, so it needs no network.
"""

import json
import sys

import parliament


def findings(policies: dict[str, str]) -> list[dict[str, str]]:
    found = []
    for name, document in policies.items():
        for finding in parliament.analyze_policy_string(document).findings:
            found.append({"where": name, "rule": finding.issue, "message": str(finding.detail)})
    return found


if __name__ == "__main__":
    json.dump(findings(json.load(sys.stdin)), sys.stdout)
