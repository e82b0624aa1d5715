import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';

export interface AppRun {
  exitCode: number;
  stderr: string;
  /** Names of the stacks, without those of nested assemblies. */
  stacks: string[];
  template(stack: string): Template;
  dispose(): void;
}

/** Runs a CDK app like the `cdk` command, without an account, with the context of its cdk.json. */
export async function runApp(file: string, context?: unknown): Promise<AppRun> {
  const outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-app-'));
  const directory = dirname(file);
  const contextJson = context ?? readCdkJson(file).context;
  const { exitCode, stderr } = await new Promise<{ exitCode: number; stderr: string }>((done) => {
    const { AWS_PROFILE: _profile, AWS_REGION: _region, ...env } = process.env;
    const child = execFile(
      process.execPath,
      // As in the cdk.json files of examples/ and integ/: the package is imported from its source.
      ['--conditions=@pg-deploy-step/source', file],
      { cwd: directory, env: { ...env, CDK_OUTDIR: outdir, CDK_CONTEXT_JSON: JSON.stringify(contextJson) } },
      (_error, _stdout, stderr) => done({ exitCode: child.exitCode ?? -1, stderr }),
    );
  });
  const manifest = exitCode === 0 ? JSON.parse(readFileSync(join(outdir, 'manifest.json'), 'utf8')) : {};
  const artifacts: Record<string, { type: string }> = manifest.artifacts ?? {};
  return {
    exitCode,
    stderr,
    stacks: Object.keys(artifacts).filter((name) => artifacts[name]?.type === 'aws:cloudformation:stack'),
    template: (stack) => Template.fromString(readFileSync(join(outdir, `${stack}.template.json`), 'utf8')),
    dispose: () => rmSync(outdir, { recursive: true, force: true }),
  };
}

function readCdkJson(file: string): { context: unknown } {
  // The cdk.json of bin/app.ts is in the folder above, that of an example in the same folder.
  const directory = dirname(file).endsWith('bin') ? dirname(dirname(file)) : dirname(file);
  return JSON.parse(readFileSync(join(directory, 'cdk.json'), 'utf8'));
}
