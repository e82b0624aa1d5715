import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ACCOUNT, REGION } from './account.ts';
import type { Definition } from './engine/definition.ts';
import type { Machine } from './engine.ts';
import type { LambdaFunction } from './lambda-host.ts';

/** A synthesised CloudFormation template. */
export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
}

interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
}

export interface SynthesisedMachine extends Machine {
  readonly logicalId: string;
}

export interface SynthesisedFunction extends LambdaFunction {
  readonly logicalId: string;
  readonly arn: string;
}

/** What the local run needs of a stack, with local ARNs in the place of references. */
export interface SynthesisedStack {
  readonly machines: readonly SynthesisedMachine[];
  readonly functions: readonly SynthesisedFunction[];
  readonly topicArns: readonly string[];
}

/**
 * Reads the state machines, functions and topics of a synthesised stack.
 * @param outdir the cloud assembly's folder, where the functions' code lies
 * @throws Error naming the resource and the reference or the asset that cannot be resolved
 */
export function readStack(template: Template, outdir: string): SynthesisedStack {
  const references = new References(template);
  const assets = readAssets(outdir);
  const ofType = (type: string) =>
    Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);

  return {
    machines: ofType('AWS::StepFunctions::StateMachine').map(([logicalId, { Properties = {} }]) => ({
      name: references.name(logicalId),
      logicalId,
      arn: references.arn(logicalId),
      definition: JSON.parse(
        String(references.resolve(Properties.DefinitionString, logicalId)),
      ) as Definition,
    })),
    functions: ofType('AWS::Lambda::Function').map(([logicalId, resource]) => {
      const { Handler, Timeout = 3, Environment } = resource.Properties ?? {};
      const { Variables = {} } = (Environment ?? {}) as { Variables?: Record<string, unknown> };
      return {
        name: references.name(logicalId),
        logicalId,
        arn: references.arn(logicalId),
        directory: codeOf(logicalId, resource, outdir, assets),
        handler: String(Handler),
        environment: Object.fromEntries(
          Object.entries(Variables).map(([key, value]) => [
            key,
            String(references.resolve(value, logicalId)),
          ]),
        ),
        timeoutSeconds: Number(Timeout),
      };
    }),
    topicArns: ofType('AWS::SNS::Topic').map(([logicalId]) => references.arn(logicalId)),
  };
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

class References {
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

/** The folders of the assembly's assets, by the key under which they are uploaded. */
function readAssets(outdir: string): ReadonlyMap<string, string> {
  const folders = new Map<string, string>();
  for (const file of readdirSync(outdir).filter((name) => name.endsWith('.assets.json'))) {
    const { files = {} } = JSON.parse(readFileSync(path.join(outdir, file), 'utf8')) as {
      files?: Record<
        string,
        { source: { path?: string }; destinations: Record<string, { objectKey: string }> }
      >;
    };
    for (const { source, destinations } of Object.values(files)) {
      for (const { objectKey } of Object.values(destinations)) {
        if (source.path !== undefined) folders.set(objectKey, path.resolve(outdir, source.path));
      }
    }
  }
  return folders;
}

function codeOf(
  logicalId: string,
  { Properties, Metadata }: Resource,
  outdir: string,
  assets: ReadonlyMap<string, string>,
): string {
  const written = Metadata?.['aws:asset:path'];
  if (typeof written === 'string') return path.resolve(outdir, written);
  const { S3Key } = (Properties?.Code ?? {}) as { S3Key?: unknown };
  const folder = typeof S3Key === 'string' ? assets.get(S3Key) : undefined;
  if (folder === undefined) throw new Error(`The code of ${logicalId} is not among the assets in ${outdir}.`);
  return folder;
}
