import { projectPath } from '../../files/project-path.ts';
import { type Allowance, withoutAllowed } from '../../lint/allow-comments.ts';
import { type ConfiguredRules, isOff, withConfiguredRules } from '../../lint/configured-rules.ts';
import type { Finding } from '../../lint/finding.ts';
import {
  countsOf,
  type Format,
  type LintResult,
  textLines,
  toGithub,
  toJson,
} from '../../lint/format-result.ts';
import { type LintedMigrations, lintMigrations } from '../../lint/lint-migrations.ts';
import type { Move } from '../../lint/migrations/movable-index.ts';
import { moveIntoRegistry } from '../../lint/move-into-registry.ts';
import { readSchema } from '../../lint/read-schema.ts';
import { lintRegistry } from '../../lint/registry/lint-registry.ts';
import { loadRegistry } from '../../registry/load-registry.ts';
import { RegisteredIndexes } from '../../registry/registered-indexes.ts';
import { RegistryError } from '../../registry/registry-error.ts';
import type { RegistryRuleName } from '../../registry/registry-rules.ts';
import { kindOf } from '../../registry/registry-text.ts';
import { printOutput } from '../terminal/print-output.ts';
import { paint, takesColour } from '../terminal/styled-text.ts';
import { terminalText } from '../terminal/terminal-text.ts';
import { type LintProgressBar, lintProgressBar } from './lint-progress-bar.ts';
import { type LintFlags, type LintScope, type LintTarget, lintScope } from './lint-scope.ts';

const FOREIGN_KEYS: RegistryRuleName = 'foreign-key-without-index';

interface LintSettings {
  readonly flags: LintFlags;
  /** Move CREATE INDEX statements into the registry first. */
  readonly fix: boolean;
  /** Fail for warnings too. */
  readonly strict: boolean;
  readonly format: Format;
}

/** What all targets of one command share. */
interface LintContext {
  readonly scope: LintScope;
  readonly fix: boolean;
  readonly progress: LintProgressBar;
}

/**
 * Lints everything in scope and prints the findings on standard output.
 * @returns true when nothing fails the command
 * @throws ConfigurationError when cdk.json is wrong
 * @throws RegistryError when `fix` cannot use the registry
 */
export async function lintProject({ flags, fix, strict, format }: LintSettings): Promise<boolean> {
  const scope = lintScope(flags);
  const progress = lintProgressBar(process.stderr);
  const results: LintResult[] = [];
  try {
    for (const target of scope.targets) results.push(await lintTarget({ scope, fix, progress }, target));
  } finally {
    progress.close();
  }
  // Foreign keys are checked with a registry only. Several environments can share the accepted ones.
  const unused = scope.targets.some(({ registry }) => registry !== null)
    ? withConfiguredRules(scope.acceptedForeignKeys.unusedFindings(), scope.rules)
    : [];
  const result = {
    findings: inProject([...results.flatMap((one) => one.findings), ...unused]),
    files: results.reduce((sum, one) => sum + one.files, 0),
    moved: inProject(results.flatMap((one) => one.moved)),
    kept: inProject(results.flatMap((one) => one.kept)),
    notRun: [...new Set(results.flatMap((one) => one.notRun.map(projectPath)))],
    // Several environments can share their migrations.
    dialects: [
      ...new Map(
        results.flatMap(({ dialects = [] }) => dialects.map((one) => [JSON.stringify(one), one])),
      ).values(),
    ],
  };
  const isPrinted = await print(result, format);
  const { errors, warnings } = countsOf(result.findings);
  return isPrinted && errors === 0 && (!strict || warnings === 0);
}

/**
 * Lints a registry and a folder of migrations as the context `lint` of cdk.json in the working directory says.
 * @param files the paths that an environment uses, and its search path
 * @returns the findings, with paths relative to the repository
 * @throws ConfigurationError when cdk.json is wrong
 */
export async function lintFiles(files: {
  readonly registry: string | null;
  readonly migrations: string | null;
  readonly searchPath: readonly string[] | undefined;
}): Promise<Finding[]> {
  const { registry, migrations, searchPath } = files;
  const scope = lintScope({}, [
    {
      ...{ registry, searchPath, appliedFolder: migrations },
      migrations: migrations === null ? [] : [migrations],
    },
  ]);
  const results = [];
  for (const target of scope.targets)
    results.push(await lintTarget({ scope, fix: false, progress: NO_PROGRESS }, target));
  return inProject(results.flatMap(({ findings }) => findings));
}

const NO_PROGRESS: LintProgressBar = { onProgress: () => undefined, close: () => undefined };

/** With paths relative to the project: pull requests and editors find the files by them. */
function inProject<Item extends { readonly file: string }>(items: readonly Item[]): Item[] {
  return items.map((item) => ({ ...item, file: projectPath(item.file) }));
}

async function lintTarget(
  context: LintContext,
  { registry, migrations, appliedFolder, searchPath }: LintTarget,
): Promise<LintResult> {
  const { from, runCode, placeholders, startAfter, tenantColumn, schema: schemaPath } = context.scope;
  const { rules, acceptedForeignKeys } = context.scope;
  const reading = { runCode, placeholders };
  const { onProgress } = context.progress;
  const read = async () => {
    const registered = await readRegistered({ registry, searchPath }, context);
    return {
      registered,
      ...(await lintMigrations({
        paths: migrations,
        from,
        ...reading,
        appliedFolder,
        searchPath,
        startAfter,
        registered,
        onProgress,
      })),
    };
  };
  let linted = await read();
  let fixed: Pick<LintResult, 'moved' | 'kept'> = { moved: [], kept: [] };
  if (context.fix && registry !== null) {
    const target = { file: registry, runCode, searchPath };
    fixed = await moveIntoRegistry(movable(linted, rules), target, linted.registered, linted.whyNotMovable);
    if (fixed.moved.length > 0) linted = await read();
  }
  const given = schemaPath === null ? null : await readSchema(schemaPath, reading, searchPath);
  const schema = given?.schema ?? linted.schema;
  const ofRegistry =
    registry === null
      ? []
      : await lintRegistry(registry, { tenantColumn, schema, runCode, searchPath, acceptedForeignKeys });
  const afterStart = ofRegistry.filter(({ file }) => !linted.history.has(file));
  const findings = [...afterStart, ...linted.findings, ...(given?.findings ?? [])];
  const allowances = [...linted.allowances, ...(given?.allowances ?? [])];
  const isJudged = ({ rule, file }: Allowance) => {
    if (linted.history.has(file)) return false;
    // Only the registry's linter checks foreign keys, and only those of the schema that it reads.
    if (rule === FOREIGN_KEYS) return registry !== null && (given === null || given.files.has(file));
    return !given?.files.has(file);
  };
  return {
    ...fixed,
    notRun: [...linted.notRun, ...(given?.notRun ?? [])],
    dialects: linted.dialects,
    findings: withConfiguredRules(withoutAllowed(findings, allowances, isJudged), rules),
    files: linted.files + (given?.files.size ?? 0) + (registry === null ? 0 : 1),
  };
}

/** The statements to move: those that neither a comment nor the configuration allows to stay. */
function movable({ findings, allowances, moves }: LintedMigrations, rules: ConfiguredRules): Move[] {
  const refused = new Set(withoutAllowed(findings, allowances).filter((finding) => !isOff(finding, rules)));
  return moves.filter(({ finding }) => refused.has(finding));
}

/**
 * The names in the registry. An unusable registry counts as empty, because its own linter reports it.
 * @throws RegistryError when `fix` needs a usable registry to write to
 */
async function readRegistered(
  { registry, searchPath }: Pick<LintTarget, 'registry' | 'searchPath'>,
  { fix, scope: { runCode } }: LintContext,
): Promise<RegisteredIndexes> {
  const kind = kindOf(registry);
  try {
    const compiled = registry === null ? [] : await loadRegistry(registry, { runCode });
    return new RegisteredIndexes(compiled, { kind, searchPath });
  } catch (error) {
    if (fix || !(error instanceof RegistryError)) throw error;
    return new RegisteredIndexes([], { kind, searchPath });
  }
}

/** @returns false when a program reads the result and did not get it */
async function print(result: LintResult, format: Format): Promise<boolean> {
  if (format === 'text') {
    await printText(result);
    return true;
  }
  const text = format === 'json' ? toJson(result) : toGithub(result);
  return text === '' || (await printOutput('result', `${text}\n`));
}

/** Prints in parts, because the text for a large migration would be a large part of the memory. */
async function printText(result: LintResult): Promise<void> {
  const colour = takesColour(process.stdout);
  let part = '';
  const printPart = async () => {
    const text = terminalText(part, colour);
    part = '';
    return text === '' || (await printOutput('result', text));
  };
  for (const line of textLines(result, { paint: (piece, style) => paint(piece, style, colour) })) {
    part += `${line}\n`;
    // Without a reader, the rest is not printed either.
    if (part.length >= PART_LENGTH && !(await printPart())) return;
  }
  await printPart();
}

const PART_LENGTH = 50_000;
