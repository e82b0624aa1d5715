import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { RuleState } from './aws/state-file.ts';
import type { Definition } from './engine/definition.ts';
import type { Machine } from './engine.ts';
import type { LambdaFunction } from './lambda-sandbox.ts';
import type { PublishedVersion, PublishedVersions } from './published-versions.ts';
import { permissionsOfRole, type RolePermissions } from './role-permissions.ts';
import { type Resource, type Template, TemplateReferences } from './template-references.ts';

interface SynthesisedMachine extends Machine {
  readonly logicalId: string;
  /** What the role of the state machine allows. */
  readonly permissions: RolePermissions;
}

interface SynthesisedFunction extends LambdaFunction {
  readonly logicalId: string;
  readonly arn: string;
}

/** The parts of a stack that a local run uses. All references are replaced by local ARNs. */
export interface SynthesisedStack {
  readonly machines: readonly SynthesisedMachine[];
  readonly functions: readonly SynthesisedFunction[];
  readonly topicArns: readonly string[];
  /** The rules of the stack. A local run enables and disables them, but they start nothing. */
  readonly rules: readonly RuleState[];
}

/**
 * Reads the state machines, functions and topics of a synthesised stack.
 * @param outdir folder of the cloud assembly, which contains the functions' code
 * @param versions those that earlier templates of the stack have published; it gets those of this one @default none
 * @throws Error that names the resource and the reference or asset that cannot be resolved
 */
export function readStack(
  template: Template,
  outdir: string,
  versions?: PublishedVersions,
): SynthesisedStack {
  const references = new TemplateReferences(template, versions);
  const assets = readAssets(outdir);
  const ofType = (type: string) =>
    Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);

  const versionOf = (type: string, property: string, owner: string): PublishedVersion | undefined => {
    const [id, resource] =
      ofType(type).find(
        ([, { Properties }]) => (Properties?.[property] as { Ref?: string })?.Ref === owner,
      ) ?? [];
    if (id === undefined || resource === undefined) return undefined;
    const number = String(references.resolve({ Ref: id }, id)).replace(/^.*:/, '');
    // Both, because a new version replaces the resource of a state machine's version and removes that of a function's.
    const isRetained = resource.DeletionPolicy === 'Retain' && resource.UpdateReplacePolicy === 'Retain';
    return { number: Number(number), isRetained };
  };

  return {
    machines: ofType('AWS::StepFunctions::StateMachine').map(([logicalId, { Properties = {} }]) => {
      const version = versionOf('AWS::StepFunctions::StateMachineVersion', 'StateMachineArn', logicalId);
      return {
        name: references.name(logicalId),
        logicalId,
        arn: references.arn(logicalId),
        definition: JSON.parse(
          String(references.resolve(Properties.DefinitionString, logicalId)),
        ) as Definition,
        ...(version && { version }),
        permissions: permissionsOfRole(template, roleOf(Properties.RoleArn), references),
      };
    }),
    functions: ofType('AWS::Lambda::Function').map(([logicalId, resource]) => {
      const { Handler, Timeout = 3, Environment } = resource.Properties ?? {};
      const { Variables = {} } = (Environment ?? {}) as { Variables?: Record<string, unknown> };
      const version = versionOf('AWS::Lambda::Version', 'FunctionName', logicalId);
      return {
        name: references.name(logicalId),
        logicalId,
        arn: references.arn(logicalId),
        directory: codeOf(logicalId, resource, outdir, assets),
        handler: String(Handler),
        variables: Object.fromEntries(
          Object.entries(Variables).map(([key, value]) => [
            key,
            String(references.resolve(value, logicalId)),
          ]),
        ),
        timeoutSeconds: Number(Timeout),
        ...(version && { version }),
      };
    }),
    topicArns: ofType('AWS::SNS::Topic').map(([logicalId]) => references.arn(logicalId)),
    rules: ofType('AWS::Events::Rule').map(([logicalId, { Properties }]) => ({
      name: references.name(logicalId),
      eventBus: 'default',
      state: Properties?.State === 'DISABLED' ? 'DISABLED' : 'ENABLED',
    })),
  };
}

/** The logical id of a role. Empty: the state machine has a role of another stack. */
function roleOf(roleArn: unknown): string {
  const [id] = (roleArn as { 'Fn::GetAtt'?: [string, string] } | undefined)?.['Fn::GetAtt'] ?? [];
  return id ?? '';
}

/** The folders of the assembly's assets, by their S3 key. */
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
  const assetPath = Metadata?.['aws:asset:path'];
  if (typeof assetPath === 'string') return path.resolve(outdir, assetPath);
  const { S3Key } = (Properties?.Code ?? {}) as { S3Key?: unknown };
  const folder = typeof S3Key === 'string' ? assets.get(S3Key) : undefined;
  if (folder === undefined)
    throw new Error(`The assets in ${outdir} do not contain the code of ${logicalId}.`);
  return folder;
}
