import { ACCOUNT, functionArn, localArn, REGION } from './local-arns.ts';

/** A synthesised CloudFormation template. */
export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
}

export interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
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
      case 'AWS::Lambda::Version':
        return `${this.arn(String((resource.Properties?.FunctionName as { Ref?: string } | undefined)?.Ref))}:1`;
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
    throw new Error(`${within} refers to ${id}.${attribute}. A local run does not have this attribute.`);
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
