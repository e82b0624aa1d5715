import { createHash } from 'node:crypto';
import { ACCOUNT, functionArn, localArn, REGION } from './local-arns.ts';
import { PublishedVersions } from './published-versions.ts';

/** A synthesised CloudFormation template. */
export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
}

export interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
  /** What CloudFormation does with the resource when it is no longer in the template. */
  readonly DeletionPolicy?: string;
  /** What CloudFormation does with the old resource when it creates another one in its place. */
  readonly UpdateReplacePolicy?: string;
}

/** For each type: the property with the resource's name, and the ARN. A resource without a name is named by its id. */
const NAMED: Readonly<Record<string, { property: string; arn: (name: string) => string }>> = {
  'AWS::StepFunctions::StateMachine': {
    property: 'StateMachineName',
    arn: (name) => localArn('states', `stateMachine:${name}`),
  },
  'AWS::Lambda::Function': {
    property: 'FunctionName',
    arn: functionArn,
  },
  'AWS::Events::Rule': {
    property: 'Name',
    arn: (name) => localArn('events', `rule/${name}`),
  },
  'AWS::SNS::Topic': {
    property: 'TopicName',
    arn: (name) => localArn('sns', name),
  },
};

const PSEUDO_PARAMETERS: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::AccountId': ACCOUNT,
  'AWS::URLSuffix': 'amazonaws.com',
};

/** The local names and ARNs of a template's resources. Replaces CloudFormation's intrinsic functions with them. */
export class TemplateReferences {
  readonly #resources: Template['Resources'];
  readonly #versions: PublishedVersions;

  /** @param versions those of the stack's earlier templates; it gets those of this one @default no earlier template */
  constructor({ Resources }: Template, versions = new PublishedVersions()) {
    this.#resources = Resources;
    this.#versions = versions;
  }

  name(logicalId: string): string {
    const resource = this.#resources[logicalId];
    const property = resource === undefined ? undefined : NAMED[resource.Type]?.property;
    const name = property === undefined ? undefined : resource?.Properties?.[property];
    return name === undefined ? logicalId : String(this.resolve(name, logicalId));
  }

  arn(logicalId: string): string {
    const type = this.#resources[logicalId]?.Type;
    const known = type === undefined ? undefined : NAMED[type];
    if (known === undefined) {
      throw new Error(`A local run has no ARN for ${describe(logicalId, type)}.`);
    }
    return known.arn(this.name(logicalId));
  }

  /**
   * Replaces the intrinsic functions in a value.
   * @param within the logical id for error messages: the resource that contains the value
   * @throws Error that names the resource and the function that cannot be resolved
   */
  resolve(value: unknown, within: string): unknown {
    if (Array.isArray(value)) return value.map((entry) => this.resolve(entry, within));
    if (typeof value !== 'object' || value === null) return value;
    const [[key, argument] = ['', undefined], ...others] = Object.entries(value);
    if (others.length === 0) {
      if (key === 'Ref') return this.#ref(String(argument), within);
      if (key === 'Fn::GetAtt') return this.#attribute(argument, within);
      if (key === 'Fn::Join') {
        const [separator, parts] = argument as [string, unknown[]];
        return parts.map((part) => this.resolve(part, within)).join(separator);
      }
      if (key === 'Fn::Split') {
        const [separator, text] = argument as [string, unknown];
        return String(this.resolve(text, within)).split(separator);
      }
      if (key === 'Fn::Select') {
        const [index, list] = argument as [number, unknown];
        return (this.resolve(list, within) as unknown[])[Number(index)];
      }
      if (key === 'Fn::Sub') return this.#substitute(argument, within);
      if (key.startsWith('Fn::')) {
        throw new Error(`${within} uses ${key}. A local run cannot resolve this function.`);
      }
    }
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, this.resolve(inner, within)]),
    );
  }

  #ref(id: string, within: string): string {
    const pseudo = PSEUDO_PARAMETERS[id];
    if (pseudo !== undefined) return pseudo;
    const resource = this.#resources[id];
    switch (resource?.Type) {
      case 'AWS::Lambda::Function':
        return this.name(id);
      case 'AWS::Lambda::Version': {
        const { Ref: owner } = (resource.Properties?.FunctionName ?? {}) as { Ref?: string };
        // CloudFormation publishes a version when its resource is created. The CDK puts a hash of the function into the id.
        return this.#versionArn(this.arn(String(owner)), id);
      }
      case 'AWS::StepFunctions::StateMachineVersion': {
        const { StateMachineArn, StateMachineRevisionId } = resource.Properties ?? {};
        const revision = this.resolve(StateMachineRevisionId, id);
        return this.#versionArn(String(this.resolve(StateMachineArn, id)), String(revision));
      }
      case 'AWS::StepFunctions::StateMachine':
      case 'AWS::SNS::Topic':
        return this.arn(id);
      default:
        throw new Error(
          `${within} refers to ${describe(id, resource?.Type)}. A local run does not have such a resource.`,
        );
    }
  }

  #attribute(argument: unknown, within: string): string {
    const [id = '', attribute = ''] = Array.isArray(argument)
      ? (argument as string[])
      : String(argument).split('.', 2);
    if (attribute === 'Arn' || attribute === 'TopicArn') return this.arn(id);
    if (attribute === 'Name' || attribute === 'TopicName') return this.name(id);
    if (attribute === 'StateMachineRevisionId') return this.#revisionOf(id);
    throw new Error(`${within} refers to ${id}.${attribute}. A local run does not have this attribute.`);
  }

  #versionArn(arn: string, content: string): string {
    return `${arn}:${this.#versions.publish(arn, content)}`;
  }

  /** An update of a state machine that changes something gives it another revision. */
  #revisionOf(id: string): string {
    const properties = this.#resources[id]?.Properties ?? {};
    const definition = this.resolve(properties.DefinitionString, id);
    return createHash('sha256').update(String(definition)).digest('hex');
  }

  #substitute(argument: unknown, within: string): string {
    const [text, variables] = Array.isArray(argument)
      ? (argument as [string, Record<string, unknown>])
      : [String(argument), {}];
    return text.replace(/\$\{(!?)([^}]+)\}/g, (_whole, literal: string, name: string) => {
      if (literal !== '') return `\${${name}}`;
      if (Object.hasOwn(variables, name)) return String(this.resolve(variables[name], within));
      return name.includes('.') ? this.#attribute(name, within) : this.#ref(name, within);
    });
  }
}

function describe(logicalId: string, type: string | undefined): string {
  return type === undefined ? `${logicalId}, which does not exist` : `${logicalId} (${type})`;
}
