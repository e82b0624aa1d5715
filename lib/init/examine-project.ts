import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { migrationsToShip } from '../functions/ship-migrations.ts';
import { importSources } from '../import/import-sources.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { findSources } from '../sources/find-sources.ts';
import { NoMigrations, NoSourceError, type Skipped, type Tool } from '../sources/sql-source.ts';

/** The migrations of a project. Paths are relative to it. */
export interface ProjectMigrations {
  readonly tool: Tool;
  readonly folder: string;
  readonly count: number;
  /** The name of the last one, as `lint.startAfter` names it. */
  readonly last: string;
  /** Whether the runner `sql` applies them: numbered SQL files, directly in the folder. */
  readonly isForRunner: boolean;
  /** The indexes that they create. */
  readonly entries: readonly IndexEntry[];
  readonly notImported: readonly Skipped[];
}

/** What `init` takes into account. */
export interface Project {
  readonly folder: string;
  /** Whether it contains nothing yet, apart from what a new repository has. */
  readonly isEmpty: boolean;
  /** Null: there are none that can be read. */
  readonly migrations: ProjectMigrations | null;
  /** The content of package.json. Null: there is none. */
  readonly manifest: Manifest | null;
  /** The CDK app that exists. Null: there is no cdk.json. */
  readonly app: ExistingApp | null;
  readonly packageManager: PackageManager;
  /** Whether pipelines of GitLab check the project. Otherwise GitHub does. */
  readonly isOnGitLab: boolean;
}

export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface ExistingApp {
  /** The registry of its first environment. Null: cdk.json has no context `environments`. */
  readonly registry: string | null;
}

/** The commands of a package manager. */
interface PackageManager {
  readonly install: string;
  readonly add: string;
}

const NPM: PackageManager = { install: 'npm ci', add: 'npm install --save-dev' };
const PACKAGE_MANAGERS: Readonly<Record<string, PackageManager>> = {
  'pnpm-lock.yaml': {
    install: 'corepack enable && pnpm install --frozen-lockfile',
    add: 'pnpm add --save-dev',
  },
  'yarn.lock': { install: 'corepack enable && yarn install --immutable', add: 'yarn add --dev' },
  'package-lock.json': NPM,
};

/** Where the registry and the migrations are by default. */
export const REGISTRY = 'database/indexes.ts';
export const MIGRATIONS = 'database/migrations';

/** Files of a new repository. */
const BEGINNING = /^(\.git|\.github|\.gitlab|\.gitignore|\.gitattributes|README.*|LICEN[CS]E.*|\.DS_Store)$/i;

/**
 * Looks for migrations and imports their indexes. Nothing is changed.
 * @param path of the migrations. Undefined: they are looked for
 * @param runCode whether migrations that are code are run to read them
 * @throws NoSourceError if there are several histories, or if `path` has no migrations
 */
export async function examineProject(
  folder: string,
  { path, runCode }: { path: string | undefined; runCode: boolean },
): Promise<Project> {
  const has = (name: string) => existsSync(join(folder, name));
  const lockFile = Object.keys(PACKAGE_MANAGERS).find(has);
  return {
    folder,
    isEmpty: readdirSync(folder).every((name) => BEGINNING.test(name)),
    migrations: await migrationsIn(folder, path, runCode),
    manifest: has('package.json') ? (readJson(join(folder, 'package.json')) as Manifest) : null,
    app: has('cdk.json') ? { registry: registryIn(readJson(join(folder, 'cdk.json'))) } : null,
    packageManager: PACKAGE_MANAGERS[lockFile ?? ''] ?? NPM,
    isOnGitLab: has('.gitlab-ci.yml') && !has('.github'),
  };
}

/** @throws NoSourceError with the file */
function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new NoSourceError(
      `${file} is no JSON that can be read: ${error instanceof Error ? error.message : ''}`,
    );
  }
}

function registryIn(configuration: unknown): string | null {
  const { environments } = (configuration as { context?: { environments?: object } }).context ?? {};
  const [first] = Object.values(environments ?? {}) as ({ indexes?: string } | undefined)[];
  return first === undefined ? null : (first.indexes ?? REGISTRY);
}

async function migrationsIn(
  folder: string,
  path: string | undefined,
  runCode: boolean,
): Promise<ProjectMigrations | null> {
  try {
    const sources = await findSources(path ?? folder, { runCode, prefer: 'migrations' });
    const { entries, notTaken } = await importSources(sources);
    const last = sources.files.at(-1)?.file ?? '';
    return {
      tool: sources.tool,
      folder: relative(folder, sources.folder) || '.',
      count: sources.files.length,
      last: basename(last) === 'migration.sql' ? basename(dirname(last)) : basename(last),
      isForRunner: sources.tool === 'plain' && areShipped(sources.folder),
      entries,
      notImported: notTaken,
    };
  } catch (error) {
    if (error instanceof NoMigrations && path === undefined) return null;
    throw error;
  }
}

function areShipped(folder: string): boolean {
  try {
    return Object.keys(migrationsToShip(folder).files).length > 0;
  } catch {
    return false;
  }
}
