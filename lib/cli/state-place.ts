import { createHash } from 'node:crypto';
import { rmdirSync, rmSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { withoutPassword } from '../local/database-url.ts';
import type { RunSettings } from './run-settings.ts';

const FOLDER = '.pg-deploy-step';

/**
 * Where the AWS stand-ins remember what they stopped: it outlives a killed run, so each database has a fixed place in
 * the working directory.
 */
export function stateFileOf(databaseUrl: string): string {
  const { host, pathname } = new URL(databaseUrl);
  const key = createHash('sha256').update(`${host}${pathname}`).digest('hex').slice(0, 12);
  return resolve(FOLDER, `aws-${key}.json`);
}

/** Removes a state file that remembers nothing, and its folder with the last one. */
export function forgetStateFile(file: string): void {
  rmSync(file, { force: true });
  try {
    rmdirSync(dirname(file));
  } catch {
    // Another database's is in it.
  }
}

/**
 * What to type, in the same directory, to start services that a run left stopped.
 * @returns null: nothing can start them, they end with the run as the embedded database does
 */
export function startServicesHint({ databaseUrl, services }: RunSettings): string | null {
  if (databaseUrl === null) return null;
  const shown = withoutPassword(databaseUrl);
  const hidden = shown !== new URL(databaseUrl).toString();
  return (
    `${commandName()} run --database-url '${shown}' --services ${services} --mode start-services` +
    (hidden ? ' (with the password in place of ***)' : '')
  );
}

/** As it was called: npm runs it in the package's folder, and what is remembered lies in the working directory. */
function commandName(): string {
  const { npm_lifecycle_event: script } = process.env;
  if (script === 'start' || script === 'step') return 'npm run -s step --';
  return `node ${relative(process.cwd(), process.argv[1] ?? '')}`;
}
