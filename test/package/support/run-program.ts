import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from './packed-package.ts';

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The Node.js of this machine, outside of the repository: with `.ci/run` on a fresh machine, the oldest one that is supported. */
export const MACHINE_NODE = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules') && existsSync(join(folder, 'node')))
  .map((folder) => join(folder, 'node'))[0];

/** The Node.js of the repository, which is that of Lambda. */
export const CURRENT_NODE = process.execPath;

/** Where and how a program runs. */
interface Place {
  readonly cwd: string;
  /** The Node.js that programs find. @default that of this machine */
  readonly node?: string | undefined;
  readonly variables?: NodeJS.ProcessEnv | undefined;
}

/** Runs a program as a user's shell does: nothing of the repository's npm, nor of its node_modules, is visible. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { cwd, node = MACHINE_NODE ?? CURRENT_NODE, variables = {} }: Place,
): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const child = execFile(
    program,
    [...args],
    { cwd, env: { ...environmentOf(node), ...variables }, maxBuffer: 2 ** 28 },
    (_error, stdout, stderr) => resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
  );
  return await promise;
}

function environmentOf(node: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^npm_|^(NODE_ENV|NODE_OPTIONS|NODE_PATH|VITEST|VITEST_.*|TEST|INIT_CWD)$/i.test(name),
  );
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(ROOT));
  return {
    ...Object.fromEntries(own),
    PATH: [dirname(node), ...folders].join(delimiter),
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
  };
}
