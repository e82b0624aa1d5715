import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { parseEnvironments } from '../../config/environment-config.ts';
import { parseLintConfig } from '../../config/lint-config.ts';
import type { ConfiguredRules } from '../../lint/configured-rules.ts';
import { AcceptedForeignKeys } from '../../lint/registry/accepted-foreign-keys.ts';
import { placesOfJson } from '../../registry/json-source.ts';
import type { PlaceholderValues, Tool } from '../../sources/sql-source.ts';
import { CDK_JSON, readCdkJson } from './cdk-json.ts';

/** Migrations, and the registry that owns their indexes. */
export interface LintTarget {
  /** Null: no registry to lint. */
  readonly registry: string | null;
  /** Folders or files. */
  readonly migrations: readonly string[];
  /** The folder that the runner sql of the environment applies. Null: none is configured. */
  readonly appliedFolder: string | null;
  /** Undefined: public. */
  readonly searchPath: readonly string[] | undefined;
}

export interface LintScope {
  readonly targets: readonly LintTarget[];
  /** Null: the tables have no tenant column. */
  readonly tenantColumn: string | null;
  /** The same. Undefined: neither a flag nor cdk.json says which it is. */
  readonly givenTenantColumn: string | null | undefined;
  readonly startAfter: string | null;
  /** The tool that runs the migrations. Undefined: detected from the files. */
  readonly from: Tool | undefined;
  /** Whether registries and migrations that are code are run. Their text is read otherwise. */
  readonly runCode: boolean;
  /** Values of placeholders in the migrations and the schema. */
  readonly placeholders: PlaceholderValues;
  /** SQL file or folder with the schema. Null: the migrations make it. */
  readonly schema: string | null;
  /** Rules with another severity than their own. */
  readonly rules: ConfiguredRules;
  readonly acceptedForeignKeys: AcceptedForeignKeys;
}

export interface LintFlags {
  readonly indexes?: string;
  readonly migrations?: readonly string[];
  readonly schema?: string;
  readonly from?: Tool;
  readonly tenantColumn?: string;
  readonly startAfter?: string;
  readonly searchPath?: string[];
  readonly placeholder?: PlaceholderValues;
  /** False for --no-code. */
  readonly code?: boolean;
}

/**
 * Decides what to lint: the files that the flags name, otherwise those that cdk.json in the working directory configures.
 * @param given used instead of those that cdk.json configures
 * @throws ConfigurationError when cdk.json is wrong
 */
export function lintScope(flags: LintFlags, given?: readonly LintTarget[]): LintScope {
  const { text, context } = readCdkJson();
  const config = parseLintConfig(context?.lint);
  const givenTenantColumn =
    flags.tenantColumn === undefined ? configuredTenantColumn(context?.lint) : noneIsNull(flags.tenantColumn);
  const named = flags.indexes !== undefined || flags.migrations !== undefined;
  return {
    targets: named
      ? [
          {
            ...{ registry: flags.indexes ?? null, migrations: flags.migrations ?? [], appliedFolder: null },
            searchPath: flags.searchPath,
          },
        ]
      : (given ??
        configuredTargets(context, config.migrations).map((target) => ({
          ...target,
          searchPath: flags.searchPath ?? target.searchPath,
        }))),
    tenantColumn: givenTenantColumn === undefined ? config.tenantColumn : givenTenantColumn,
    givenTenantColumn,
    from: flags.from,
    runCode: flags.code ?? true,
    placeholders: new Map([...Object.entries(config.placeholders), ...(flags.placeholder ?? [])]),
    // The configured value names one of the configured migrations.
    startAfter: flags.startAfter ?? (named ? null : (config.startAfter ?? null)),
    rules: config.rules,
    acceptedForeignKeys: new AcceptedForeignKeys(withPlaces(config.acceptedForeignKeys, text)),
    schema: flags.schema ?? (config.schema === undefined ? null : requirePath('lint.schema', config.schema)),
  };
}

function noneIsNull(name: string): string | null {
  return name === 'none' ? null : name;
}

/** @param lint the context `lint`, which is valid. */
function configuredTenantColumn(lint: unknown): string | null | undefined {
  return (lint as { tenantColumn?: string | null } | undefined)?.tenantColumn;
}

/** @param text of cdk.json */
function withPlaces<Item>(accepted: readonly Item[], text: string) {
  const placeOf = placesOfJson(text);
  return accepted.map((one, at) => ({
    ...one,
    place: { file: CDK_JSON, ...placeOf(['context', 'lint', 'acceptedForeignKeys', at]) },
  }));
}

/** The targets of all environments; a target that several environments share appears once. */
function configuredTargets(
  context: Record<string, unknown> | undefined,
  migrations: readonly string[] | undefined,
): LintTarget[] {
  const targets = Object.entries(parseEnvironments(context?.environments)).map(([name, environment]) => {
    const path = `environments.${name}`;
    const own = environment.migrations.runner === 'sql' ? [environment.migrations.directory] : [];
    return {
      registry: environment.indexes,
      appliedFolder: own[0] ?? null,
      searchPath: environment.database.searchPath,
      migrations: (migrations ?? own).map((folder) =>
        requirePath(migrations === undefined ? `${path}.migrations` : 'lint.migrations', folder),
      ),
    };
  });
  return [...new Map(targets.map((target) => [JSON.stringify(target), target])).values()];
}

/** @throws ConfigurationError when the path does not exist; it names the field of cdk.json. */
function requirePath(field: string, path: string): string {
  if (existsSync(resolve(path))) return path;
  throw new ConfigurationError(`cdk.json, context: ${field}: ${relative('', resolve(path))} does not exist.`);
}
