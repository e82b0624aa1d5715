import type { Template } from 'aws-cdk-lib/assertions';
import { ACCOUNT, REGION } from './synthesise.ts';

export interface Resource {
  Type: string;
  Properties: Record<string, unknown>;
}

type Json = Record<string, unknown>;

const PSEUDO: Record<string, string> = {
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::AccountId': ACCOUNT,
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackId': `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/this-stack`,
};

export function resourcesOf(template: Template): Record<string, Resource> {
  return template.toJSON().Resources;
}

export function resourcesOfType(template: Template, type: string): [string, Resource][] {
  return Object.entries(resourcesOf(template)).filter(([, resource]) => resource.Type === type);
}

/**
 * Resolves a value of a template like CloudFormation, with ARNs made from the fixed names of the resources.
 * @throws Error for an unknown function or attribute, so that no test passes because of a missing value
 */
export function resolveValue(template: Template, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => resolveValue(template, item));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [key, argument] = entries[0] ?? ['', undefined];
  if (entries.length !== 1 || !(key === 'Ref' || key.startsWith('Fn::'))) {
    return Object.fromEntries(entries.map(([name, inner]) => [name, resolveValue(template, inner)]));
  }
  if (key === 'Ref') return PSEUDO[String(argument)] ?? arnOf(template, String(argument));
  if (key === 'Fn::Sub' && typeof argument === 'string') {
    return argument.replace(
      /\$\{([^}]+)\}/g,
      (_match, name: string) => PSEUDO[name] ?? arnOf(template, name),
    );
  }
  // The value of another stack.
  if (key === 'Fn::ImportValue') return `imported:${String(resolveValue(template, argument))}`;
  if (!Array.isArray(argument)) throw new Error(`${key} with an argument that is not a list.`);
  if (key === 'Fn::GetAtt') return attributeOf(template, String(argument[0]), String(argument[1]));
  const [first, second] = argument.map((item) => resolveValue(template, item));
  if (key === 'Fn::Join' && Array.isArray(second)) return second.join(String(first));
  if (key === 'Fn::Split') return String(second).split(String(first));
  if (key === 'Fn::Select' && Array.isArray(second)) return second[Number(first)];
  throw new Error(`The intrinsic function ${key} is not known.`);
}

function attributeOf(template: Template, id: string, attribute: string): string {
  if (attribute === 'Arn') return arnOf(template, id);
  if (attribute === 'StateMachineRevisionId') return `revision of ${id}`;
  if (attribute === 'Name') return `name of ${id}`;
  throw new Error(`The attribute ${attribute} of ${id} is not known.`);
}

function arnOf(template: Template, id: string): string {
  const resource = resourcesOf(template)[id];
  if (resource === undefined) throw new Error(`The template has no resource ${id}.`);
  const { Properties: properties } = resource;
  const arn = (service: string, rest: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;
  switch (resource.Type) {
    case 'AWS::Lambda::Function':
      return arn('lambda', `function:${properties.FunctionName}`);
    case 'AWS::Lambda::Version':
      return `${arnOf(template, (properties.FunctionName as { Ref: string }).Ref)}:1`;
    case 'AWS::StepFunctions::StateMachineVersion':
      return `${arnOf(template, (properties.StateMachineArn as { Ref: string }).Ref)}:1`;
    case 'AWS::StepFunctions::StateMachine':
      return arn('states', `stateMachine:${properties.StateMachineName}`);
    case 'AWS::SNS::Topic':
      return arn('sns', String(properties.TopicName));
    case 'AWS::Logs::LogGroup':
      return arn('logs', `log-group:${properties.LogGroupName}:*`);
    default:
      return `arn:aws:iam::${ACCOUNT}:role/${id}`;
  }
}

export interface Statement {
  Effect: string;
  Action: string[];
  Resource: string[];
  Condition: unknown;
  Principal: unknown;
}

/** Every policy statement in the template: inline policies, resource policies and trust policies. */
export function statementsIn(template: Template, value: unknown = resourcesOf(template)): Statement[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap((item) => statementsIn(template, item));
  if (!('Effect' in value)) return inner;
  const statement = value as Json;
  return [
    {
      Effect: String(statement.Effect),
      Action: textsOf(template, statement.Action ?? statement.NotAction),
      Resource: textsOf(template, statement.Resource),
      Condition: resolveValue(template, statement.Condition),
      Principal: resolveValue(template, statement.Principal),
    },
    ...inner,
  ];
}

/** What the policies of a role allow or deny, as "ACTION on RESOURCE" or "deny ACTION on RESOURCE", sorted, once. */
export function permissionsOf(template: Template, roleId: string): string[] {
  const policies = resourcesOfType(template, 'AWS::IAM::Policy').filter(([, policy]) =>
    (policy.Properties.Roles as { Ref: string }[]).some((role) => role.Ref === roleId),
  );
  const inline = resourcesOf(template)[roleId]?.Properties.Policies;
  const documents = [...policies.map(([, policy]) => policy.Properties), ...(inline ? [inline] : [])];
  const pairs = documents.flatMap((document) =>
    statementsIn(template, document).flatMap((statement) =>
      statement.Action.flatMap((action) =>
        statement.Resource.map(
          (resource) => `${statement.Effect === 'Deny' ? 'deny ' : ''}${action} on ${resource}`,
        ),
      ),
    ),
  );
  return [...new Set(pairs)].sort();
}

function textsOf(template: Template, value: unknown): string[] {
  if (value === undefined) return [];
  const resolved = resolveValue(template, value);
  return (Array.isArray(resolved) ? resolved : [resolved]).map(String);
}
