import { ACCOUNT, REGION } from './account.ts';

/** A synthesised CloudFormation template. */
export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
}

export interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
}

/** Properties that hold a resource's name, and what its ARN is made of. A resource without a name bears its id. */
const NAMED: Readonly<Record<string, { property: string; arn: (name: string) => string }>> = {
  'AWS::StepFunctions::StateMachine': {
    property: 'StateMachineName',
    arn: (name) => `arn:aws:states:${REGION}:${ACCOUNT}:stateMachine:${name}`,
  },
  'AWS::Lambda::Function': {
    property: 'FunctionName',
    arn: (name) => `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${name}`,
  },
  'AWS::SNS::Topic': {
    property: 'TopicName',
    arn: (name) => `arn:aws:sns:${REGION}:${ACCOUNT}:${name}`,
  },
};

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::AccountId': ACCOUNT,
  'AWS::URLSuffix': 'amazonaws.com',
};

/** Knows the local names and ARNs of a template's resources, and puts them in the place of intrinsic functions. */
export class References {
  readonly #resources: Template['Resources'];

  constructor({ Resources }: Template) {
    this.#resources = Resources;
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
    if (known === undefined)
      throw new Error(`A local run has no ARN for ${logicalId} (${type ?? 'not there'}).`);
    return known.arn(this.name(logicalId));
  }

  /** Replaces the intrinsic functions in a value. */
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
      if (key === 'Fn::Sub') return this.#substitute(argument, within);
      if (key.startsWith('Fn::')) throw new Error(`${within} uses ${key}, which a local run cannot resolve.`);
    }
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, this.resolve(inner, within)]),
    );
  }

  #ref(id: string, within: string): string {
    const pseudo = PSEUDO[id];
    if (pseudo !== undefined) return pseudo;
    const resource = this.#resources[id];
    switch (resource?.Type) {
      case 'AWS::Lambda::Function':
        return this.name(id);
      case 'AWS::Lambda::Version':
        return `${this.arn(String((resource.Properties?.FunctionName as { Ref?: string } | undefined)?.Ref))}:1`;
      case 'AWS::StepFunctions::StateMachine':
      case 'AWS::SNS::Topic':
        return this.arn(id);
      default:
        throw new Error(
          `${within} refers to ${id} (${resource?.Type ?? 'not there'}), which a local run has not.`,
        );
    }
  }

  #attribute(argument: unknown, within: string): string {
    const [id = '', attribute = ''] = Array.isArray(argument)
      ? (argument as string[])
      : String(argument).split('.', 2);
    if (attribute === 'Arn' || attribute === 'TopicArn') return this.arn(id);
    if (attribute === 'Name' || attribute === 'TopicName') return this.name(id);
    throw new Error(`${within} asks for ${id}.${attribute}, which a local run has not.`);
  }

  #substitute(argument: unknown, within: string): string {
    const [text, own] = Array.isArray(argument)
      ? (argument as [string, Record<string, unknown>])
      : [String(argument), {}];
    return text.replace(/\$\{(!?)([^}]+)\}/g, (_whole, literal: string, name: string) => {
      if (literal !== '') return `\${${name}}`;
      if (Object.hasOwn(own, name)) return String(this.resolve(own[name], within));
      return name.includes('.') ? this.#attribute(name, within) : this.#ref(name, within);
    });
  }
}
