import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { migrationsToShip } from '../functions/ship-migrations.ts';
import { importSources } from '../import/import-sources.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { findSources } from '../sources/find-sources.ts';
import { NoMigrations, NoSourceError, type Skipped, type Tool } from '../sources/sql-source.ts';
import { foldersToRoot, type PlaceInRepository, placeInRepository } from './place-in-repository.ts';

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
  readonly place: PlaceInRepository;
  /** Whether it contains nothing yet, apart from what a new repository has, and this package. */
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
  /** Whether the packages are installed at the top of the repository, because its lock file is there. */
  readonly isAtRoot: boolean;
}

type Commands = Omit<PackageManager, 'isAtRoot'>;

const NPM: Commands = { install: 'npm ci', add: 'npm install --save-dev' };
const PACKAGE_MANAGERS: Readonly<Record<string, Commands>> = {
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

/** Files of a new repository, and of npm, into which this package was installed. */
const BEGINNING =
  /^(\.git|\.github|\.gitlab|\.gitignore|\.gitattributes|README.*|LICEN[CS]E.*|\.DS_Store|node_modules|\.npmrc|\.yarnrc\.yml|\.yarn|\.pnp\..*|(package|package-lock|pnpm-workspace|pnpm-lock|yarn)\.(json|yaml|lock))$/i;

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
  const manifest = has('package.json') ? (readJson(join(folder, 'package.json')) as Manifest) : null;
  const place = placeInRepository(folder);
  return {
    ...{ folder, place, manifest },
    isEmpty: readdirSync(folder).every((name) => BEGINNING.test(name)) && hasOnlyThisPackage(manifest),
    migrations: await migrationsIn(folder, path, runCode),
    app: has('cdk.json') ? { registry: registryIn(readJson(join(folder, 'cdk.json'))) } : null,
    packageManager: packageManagerOf(folder, place),
    isOnGitLab: existsSync(join(place.root, '.gitlab-ci.yml')) && !existsSync(join(place.root, '.github')),
  };
}

function hasOnlyThisPackage(manifest: Manifest | null): boolean {
  const names = Object.keys({ ...manifest?.dependencies, ...manifest?.devDependencies });
  return names.every((name) => name === 'pg-deploy-step');
}

/** That of the nearest lock file: packages of a workspace share one. */
function packageManagerOf(folder: string, place: PlaceInRepository): PackageManager {
  for (const one of foldersToRoot(folder, place)) {
    const lockFile = Object.keys(PACKAGE_MANAGERS).find((name) => existsSync(join(one, name)));
    if (lockFile !== undefined) {
      return { ...(PACKAGE_MANAGERS[lockFile] ?? NPM), isAtRoot: one === place.root };
    }
  }
  return { ...NPM, isAtRoot: folder === place.root };
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
