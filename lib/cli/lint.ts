import { type Allowance, withoutAllowed } from '../lint/allow.ts';
import { moveIntoRegistry } from '../lint/fix.ts';
import { countsOf, type Format, type LintResult, toGithub, toJson } from '../lint/format.ts';
import { toText } from '../lint/format-text.ts';
import { type LintedMigrations, lintMigrations } from '../lint/lint-migrations.ts';
import type { Move } from '../lint/migrations/movable.ts';
import { readSchema } from '../lint/read-schema.ts';
import { lintRegistry } from '../lint/registry/lint-registry.ts';
import { RULES_ALLOWED_IN_COMMENTS } from '../lint/rules.ts';
import { loadRegistry } from '../registry/load-registry.ts';
import { RegisteredIndexes } from '../registry/registered-indexes.ts';
import { RegistryError } from '../registry/registry-error.ts';
import type { RegistryRuleName } from '../registry/registry-rules.ts';
import { FAILED, SUCCEEDED } from './exit-codes.ts';
import { type LintProgress, lintProgress } from './lint-progress.ts';
import { type Linted, type LintFlags, type LintSettings, lintSettings } from './lint-settings.ts';
import { paint, takesColour } from './progress/text.ts';

const FOREIGN_KEYS: RegistryRuleName = 'foreign-key-without-index';

export interface LintRun {
  readonly flags: LintFlags;
  /** Moves statements into the registry first. */
  readonly fix: boolean;
  /** Warnings fail as well. */
  readonly strict: boolean;
  readonly format: Format;
}

/**
 * Lints, and prints what it found on standard output.
 * @returns the exit code
 * @throws ConfigurationError where nothing says what to lint; RegistryError where `fix` has no registry to write into.
 */
export async function lint({ flags, fix, strict, format }: LintRun): Promise<number> {
  const settings = lintSettings(flags);
  const progress = lintProgress(process.stderr);
  const results: LintResult[] = [];
  try {
    for (const linted of settings.linted) results.push(await lintOne(linted, settings, fix, progress));
  } finally {
    progress.close();
  }
  const result = {
    findings: results.flatMap((one) => one.findings),
    files: results.reduce((sum, one) => sum + one.files, 0),
    moved: results.flatMap((one) => one.moved),
    kept: results.flatMap((one) => one.kept),
  };
  print(result, format);
  const { errors, warnings } = countsOf(result.findings);
  return errors > 0 || (strict && warnings > 0) ? FAILED : SUCCEEDED;
}

async function lintOne(
  { registry, migrations: paths }: Linted,
  settings: LintSettings,
  fix: boolean,
  { onProgress }: LintProgress,
): Promise<LintResult> {
  const { from, startAfter, tenantColumn } = settings;
  const read = async () => {
    const registered = await readRegistered(registry, fix);
    return { registered, ...(await lintMigrations({ paths, from, startAfter, registered, onProgress })) };
  };
  let linted = await read();
  let fixed: Pick<LintResult, 'moved' | 'kept'> = { moved: [], kept: [] };
  if (fix && registry !== null) {
    fixed = await moveIntoRegistry(movable(linted), registry, linted.registered, linted.whyNotMovable);
    if (fixed.moved.length > 0) linted = await read();
  }
  const given = settings.schema === null ? null : await readSchema(settings.schema);
  const schema = given?.schema ?? linted.schema;
  const ofRegistry = registry === null ? [] : await lintRegistry(registry, { tenantColumn, schema });
  const findings = [...ofRegistry, ...linted.findings];
  const allowances = [...linted.allowances, ...(given?.allowances ?? [])];
  const isJudged = ({ rule, file }: Allowance) => {
    // Only the registry's linter looks at foreign keys, those of the one schema that it is given.
    if (rule === FOREIGN_KEYS) return registry !== null && (given === null || given.files.has(file));
    return !linted.history.has(file) && !given?.files.has(file);
  };
  return {
    ...fixed,
    findings: withoutAllowed(findings, allowances, RULES_ALLOWED_IN_COMMENTS, isJudged),
    files: linted.files + (given?.files.size ?? 0) + (registry === null ? 0 : 1),
  };
}

/** What a comment allows stays where it is. */
function movable({ findings, allowances, moves }: LintedMigrations): Move[] {
  const refused = new Set(withoutAllowed(findings, allowances, RULES_ALLOWED_IN_COMMENTS));
  return moves.filter(({ finding }) => refused.has(finding));
}

/** A registry that cannot be used lists nothing, and is told of by its own linter; what is moved needs one that can. */
async function readRegistered(registry: string | null, fix: boolean): Promise<RegisteredIndexes> {
  try {
    return new RegisteredIndexes(registry === null ? [] : await loadRegistry(registry));
  } catch (error) {
    if (fix || !(error instanceof RegistryError)) throw error;
    return new RegisteredIndexes([]);
  }
}

function print(result: LintResult, format: Format): void {
  const colour = takesColour(process.stdout);
  const text = {
    text: () => toText(result, { paint: (piece, style) => paint(piece, style, colour) }),
    json: () => toJson(result),
    github: () => toGithub(result),
  }[format]();
  if (text !== '') process.stdout.write(`${text}\n`);
}
