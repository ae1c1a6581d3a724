// Compares templates with the CDK CLI's own diff engine: node -e "$(cat diff.js)" < pairs.json > differences.json
//
// in:  {"<stack>": {"old": path of a template or absent, "new": the same}}
// out: {"<stack>": a difference as engine.go describes it}
const fs = require('node:fs');
const { Writable } = require('node:stream');
const { deepEqual, formatDifferences, fullDiff } = require('@aws-cdk/cloudformation-diff');

const result = {};
for (const [stack, pair] of Object.entries(JSON.parse(fs.readFileSync(0, 'utf8')))) {
  result[stack] = compare(read(pair.old), read(pair.new));
}
process.stdout.write(JSON.stringify(result));

// read leaves out what changes with every edit of a script and would hide what else changes: the hashes of code, with them the order
// of a statement's resources, which the CDK sorts by name, and the metadata, which says how a resource came about.
function read(path) {
  if (!path) return {};
  const json = JSON.stringify;
  const template = JSON.parse(fs.readFileSync(path, 'utf8').replace(/\b[0-9a-f]{64}\b/g, 'CODE'), (key, value) => {
    if (Array.isArray(value)) return ['Action', 'Resource'].includes(key) ? value.sort((a, b) => (json(a) < json(b) ? -1 : 1)) : value;
    return value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  });
  for (const resource of Object.values(template.Resources ?? {})) delete resource.Metadata;
  return template;
}

function compare(before, after) {
  const diff = fullDiff(before, after);
  const resources = [];
  diff.resources.forEachDifference((id, change) => {
    resources.push({
      id,
      oldType: change.oldResourceType ?? '',
      newType: change.newResourceType ?? '',
      impact: change.changeImpact,
      made: readable(change.newProperties ?? {}),
      // An added or removed resource has no properties that change.
      properties: change.isUpdate ? Object.entries(change.propertyUpdates).map(property) : [],
    });
  });
  return {
    resources,
    ...permissions(holders(before), holders(after)),
    ingress: diff.securityGroupChanges.ingress.additions.map(rule),
    egress: diff.securityGroupChanges.egress.additions.map(rule),
    text: diff.isEmpty ? '' : text(diff),
  };
}

// holders are the resources of a template by place: inline policies apart from their role, so that the engine's statements tell where
// they stand. The engine reads no policies of the types that came after AWS::IAM::Policy, nor managed ones that a role names: they
// become what it reads.
function holders(template) {
  const found = {};
  for (const [owner, { Type = '', Properties = {} }] of Object.entries(template.Resources ?? {})) {
    const { Policies, ...rest } = Properties;
    const add = (place, as, properties) => (found[place] = { owner, type: Type, as: { Type: as, Properties: properties } });
    const policy = (place, role, document) => add(place, 'AWS::IAM::Policy', { Roles: [role], PolicyDocument: document });
    if (/^AWS::IAM::(Role|User|Group)Policy$/.test(Type)) {
      policy(owner, rest.RoleName ?? rest.UserName ?? rest.GroupName, rest.PolicyDocument);
    } else if (Type === 'AWS::IAM::ManagedPolicy' && !rest.Roles && !rest.Users && !rest.Groups) {
      policy(owner, { Ref: owner }, rest.PolicyDocument);
    } else if (Type.startsWith('AWS::IAM::') && Array.isArray(Policies) && Policies.every((one) => one.PolicyDocument)) {
      add(owner, Type, rest);
      Policies.forEach((one, i) => policy(`${owner}\` \`${typeof one.PolicyName === 'string' ? readable(one.PolicyName) : i + 1}`, { Ref: owner }, one.PolicyDocument));
    } else {
      add(owner, Type, Properties);
    }
  }
  return found;
}

// permissions are the statements and managed policies that come and go, by place.
function permissions(before, after) {
  const found = { added: [], removed: [], managed: [], unread: [], known: [] };
  const alone = (holder) => (holder ? { Resources: { [holder.owner]: holder.as } } : {});
  const additions = (template) => fullDiff({}, template).iamChanges.statements.additions;
  for (const place of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = before[place], made = after[place];
    if (deepEqual(old?.as, made?.as)) continue;
    const iam = fullDiff(alone(old), alone(made)).iamChanges;
    found.added.push(...iam.statements.additions.map((s) => statement(s, made, place)));
    found.removed.push(...iam.statements.removals.map((s) => statement(s, old, place)));
    found.managed.push(...iam.managedPolicies.additions.map((one) => ({ owner: made.owner, policy: readable(one.managedPolicyArn) })));
    // A policy that the engine does not read, or a permission that is no statement.
    const blind = (holder) => JSON.stringify(holder ?? '').includes('"Effect":') && additions(alone(holder)).length === 0;
    const unnamed = iam.permissionsBroadened && !iam.statements.hasChanges && !iam.managedPolicies.hasChanges;
    if (made && (unnamed || blind(old) || blind(made))) found.unread.push(made.owner);
  }
  if (found.added.length > 0) {
    const all = Object.fromEntries(Object.entries(before).map(([place, holder]) => [place, holder.as]));
    found.known = additions({ Resources: all }).map((s) => statement(s, {}));
  }
  return found;
}

function statement(read, holder, place) {
  // To the engine an endpoint's policy for everything is one for the endpoint.
  const named = (value) => (holder.type === 'AWS::EC2::VPCEndpoint' && value === `\${${holder.owner}.Arn}` ? '*' : readable(value));
  const targets = ({ not, values }) => ({ not, values: [...new Set(values.map(named))].sort() });
  const conditions = {};
  for (const [operator, keys] of Object.entries(read.condition ?? {})) {
    for (const [key, values] of Object.entries(keys)) conditions[`${operator} ${key}`] = [values].flat().map((one) => readable(`${one}`)).sort();
  }
  return {
    owner: holder.owner, type: holder.type, place,
    // What is no statement, but Fn::If for instance, counts as one that allows on what it says.
    sid: readable(read.sid ?? ''), deny: read.effect === 'Deny', action: targets(read.actions), conditions,
    resource: read.effect === 'Unknown' ? targets({ not: false, values: [read.render().resource] }) : targets(read.resources),
    principal: targets(read.principals),
  };
}

// readable writes a value as a person would, on one line between backticks: ${Lake.Arn} for a GetAtt, and an output of another stack
// without that stack's name, which is another one in every stage.
function readable(value) {
  return (typeof value === 'string' ? value : JSON.stringify(value))
    .replace(/\{"Fn::GetStackOutput":\{(?:[^{}]|\{[^{}]*\})*?"OutputName":"PublishOutput(?:Ref|FnGetAtt)(\w+?)[0-9A-F]{8}"(?:[^{}]|\{[^{}]*\})*\}\}/g, '${$1}')
    .replace(/\{"Fn::GetAtt":\["(\w+)","([\w.]+)"\]\}/g, '${$1.$2}')
    .replace(/\{"(?:Ref|(Fn::Sub))":"([^"]*)"\}/g, (_, sub, text) => (sub ? text : '${' + text + '}'))
    .replaceAll('"', '').replaceAll('`', "'").replaceAll('\n', ' ');
}

function property([name, change]) {
  return { name, impact: change.changeImpact, old: readable(change.oldValue ?? ''), new: readable(change.newValue ?? '') };
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
