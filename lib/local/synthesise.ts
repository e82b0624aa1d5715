import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Definition } from './engine/definition.ts';
import type { Machine } from './engine.ts';
import type { LambdaFunction } from './lambda-host.ts';
import { References, type Resource, type Template } from './references.ts';

export type { Template } from './references.ts';

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
