import { existsSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { parseLintConfig } from '../config/lint-config.ts';
import { ConfigurationError, parseEnvironments } from '../config/load-environments.ts';
import type { Tool } from '../sources/source.ts';

/** What is linted together: migrations, and the registry that takes their place. */
export interface Linted {
  /** Null: there is no registry to lint. */
  readonly registry: string | null;
  /** Folders or files. */
  readonly migrations: readonly string[];
}

export interface LintSettings {
  readonly linted: readonly Linted[];
  readonly tenantColumn: string | null;
  readonly startAfter: string | null;
  /** Whose migrations they are. Undefined: told by what is there. */
  readonly from: Tool | undefined;
  /** File or folder of SQL that makes the schema. Null: the migrations do. */
  readonly schema: string | null;
}

/** What the flags say. */
export interface LintFlags {
  readonly indexes?: string;
  readonly migrations?: readonly string[];
  readonly schema?: string;
  readonly from?: Tool;
  readonly tenantColumn?: string;
  readonly startAfter?: string;
}

/**
 * What to lint: what the flags name; without any, what cdk.json in the working directory configures.
 * @throws ConfigurationError for what is wrong in cdk.json.
 */
export function lintSettings(flags: LintFlags): LintSettings {
  const context = readContext();
  const config = parseLintConfig(context?.lint);
  const named = flags.indexes !== undefined || flags.migrations !== undefined;
  return {
    linted: named
      ? [{ registry: flags.indexes ?? null, migrations: flags.migrations ?? [] }]
      : configured(context, config.migrations),
    tenantColumn: flags.tenantColumn === 'none' ? null : (flags.tenantColumn ?? config.tenantColumn),
    from: flags.from,
    // It names one of the configured migrations.
    startAfter: flags.startAfter ?? (named ? null : (config.startAfter ?? null)),
    schema: flags.schema ?? (config.schema === undefined ? null : present('lint.schema', config.schema)),
  };
}

/** What the environments share is linted once. */
function configured(
  context: Record<string, unknown> | undefined,
  migrations: readonly string[] | undefined,
): Linted[] {
  const linted = Object.entries(parseEnvironments(context?.environments)).map(([name, environment]) => {
    const path = `environments.${name}`;
    const own = environment.migrations.runner === 'sql' ? [environment.migrations.directory] : [];
    return {
      registry: environment.indexes,
      migrations: (migrations ?? own).map((folder) =>
        present(migrations === undefined ? `${path}.migrations` : 'lint.migrations', folder),
      ),
    };
  });
  return [...new Map(linted.map((one) => [JSON.stringify(one), one])).values()];
}

function present(path: string, name: string): string {
  if (existsSync(resolve(name))) return name;
  throw new ConfigurationError(`cdk.json, context: ${path}: there is no ${relative('', resolve(name))}.`);
}

function readContext(): Record<string, unknown> | undefined {
  if (!existsSync('cdk.json')) return undefined;
  try {
    return JSON.parse(readFileSync('cdk.json', 'utf8')).context ?? {};
  } catch (error) {
    throw new ConfigurationError(`cdk.json cannot be read: ${messageOf(error)}`);
  }
}
