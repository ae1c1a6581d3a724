// Compares templates with the CDK CLI's own diff engine: node diff.js < pairs.json > differences.json
//
// in:  {"<stack>": {"old": template or absent, "new": template or absent}}
// out: {"<stack>": {"resources": [...], "ingress": [...], "egress": [...], "broadened": bool, "text": "..."}}; see engine.go.
const fs = require('node:fs');
const { Writable } = require('node:stream');
const { formatDifferences, fullDiff } = require('@aws-cdk/cloudformation-diff');

const pairs = JSON.parse(fs.readFileSync(0, 'utf8'));
const result = {};
for (const [stack, pair] of Object.entries(pairs)) {
  result[stack] = compare(pair.old ?? {}, pair.new ?? {});
}
process.stdout.write(JSON.stringify(result));

function compare(before, after) {
  const diff = fullDiff(before, after);
  const resources = [];
  diff.resources.forEachDifference((id, change) => {
    resources.push({
      id,
      oldType: change.oldResourceType ?? '',
      newType: change.newResourceType ?? '',
      impact: change.changeImpact,
      // An added or removed resource has no properties that change.
      properties: change.isUpdate ? Object.entries(change.propertyUpdates).map(([name, p]) => ({ name, impact: p.changeImpact })) : [],
      other: change.isUpdate ? Object.keys(change.otherChanges) : [],
    });
  });
  return {
    resources,
    ingress: diff.securityGroupChanges.ingress.additions.map(rule),
    egress: diff.securityGroupChanges.egress.additions.map(rule),
    broadened: diff.iamChanges.permissionsBroadened,
    text: diff.isEmpty ? '' : text(diff),
  };
}

function rule(added) {
  return { group: added.groupId, protocol: added.describeProtocol(), peer: added.describePeer() };
}

function text(diff) {
  let written = '';
  const stream = new Writable({ write(chunk, _, done) { written += chunk; done(); } });
  formatDifferences(stream, diff);
  return written;
}
