import {
  type ExaminedEntry,
  type ExaminedRegistry,
  examineRegistry,
} from '../../registry/compile-registry.ts';
import { type RegistryReading, readRegistryFile } from '../../registry/load-registry.ts';
import { problemText, RegistryError, type RegistryProblem } from '../../registry/registry-error.ts';
import { REGISTRY_RULES } from '../../registry/registry-rules.ts';
import { kindOf } from '../../registry/registry-text.ts';
import { Schema } from '../../sql/schema/schema-model.ts';
import type { Finding } from '../finding.ts';
import type { AcceptedForeignKeys } from './accepted-foreign-keys.ts';
import { constraintIndexes, isTableKnown } from './constraint-indexes.ts';
import { type EntryShape, type EntryWarning, entryShape } from './entry-rule.ts';
import { foreignKeysWithoutIndex } from './foreign-keys.ts';
import { overlaps } from './overlaps.ts';
import {
  startsWithOtherColumn,
  type TenantTables,
  tenantColumnNotFirst,
  tenantTables,
} from './tenant-column.ts';

export interface LintRegistryOptions extends RegistryReading {
  /**
   * The column that holds the tenant of a row. Null: the database has one tenant, or separates tenants in another way.
   * @default 'tenant_id'
   */
  readonly tenantColumn?: string | null | undefined;
  /** Foreign keys that need no index. @default none */
  readonly acceptedForeignKeys?: AcceptedForeignKeys | undefined;
  /** The tables that the migrations create. Without it foreign keys are not checked. @default undefined */
  readonly schema?: Schema | undefined;
}

/**
 * Reports every error in a registry, with the same messages as `cdk synth` and `run`, and warns about valid entries that
 * are questionable. Findings are in the order of the file, those of foreign keys last. A file that cannot be read is a
 * finding too.
 * @param file relative to the working directory; findings contain it unchanged
 */
export async function lintRegistry(file: string, options: LintRegistryOptions = {}): Promise<Finding[]> {
  const { tenantColumn = 'tenant_id', schema, acceptedForeignKeys: accepted, ...reading } = options;
  // Without migrations, the tables of entries without a schema are all in the first schema of the path.
  const tables = schema ?? new Schema(reading.searchPath);
  tables.path.start();
  const { examined, problems } = await examine(file, reading);
  // The deploy drops the indexes of the others, so they cover nothing.
  const active = examined.filter(({ index }) => index.retired === undefined);
  const shapes = active.map((entry) =>
    entryShape(entry, (table) => tables.nameOf({ relname: table }).schema),
  );
  const tenants = tenantColumn === null ? null : tenantTables(tenantColumn, shapes, schema);
  const warnings = [
    ...overlaps(shapes),
    ...(schema === undefined ? [] : constraintIndexes(shapes, schema)),
    ...(tenants === null ? [] : tenantColumnNotFirst(shapes, tenants)),
  ];
  const used = new Map<ExaminedEntry, Set<string>>();
  for (const { rule, entry, other = entry } of warnings) {
    for (const one of [entry, other]) used.set(one, (used.get(one) ?? new Set()).add(rule));
  }
  const found = [
    ...problems.map(problemFinding),
    ...warnings
      .filter((warning) => !isAccepted(warning))
      .map((warning) => entryFinding(file, warning, 'sql')),
    ...shapes
      .flatMap((shape) => unusedAccepts(shape, used, { tenants, schema }))
      .map(({ accepted, ...warning }) => entryFinding(file, warning, `accept.${accepted}`)),
  ].toSorted((one, two) => one.line - two.line || one.column - two.column);
  const foreignKeys =
    schema === undefined
      ? []
      : foreignKeysWithoutIndex(schema, shapes, { tenantColumn, kind: kindOf(file), accepted });
  return [...found, ...foreignKeys];
}

async function examine(file: string, reading: RegistryReading): Promise<ExaminedRegistry> {
  try {
    const { entries, locate } = await readRegistryFile(file, reading);
    return await examineRegistry(entries, file, await locate());
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return { examined: [], problems: error.problems };
  }
}

function problemFinding(problem: RegistryProblem): Finding {
  const { rule, file, line, column } = problem;
  return { rule, severity: REGISTRY_RULES[rule].severity, file, line, column, message: problemText(problem) };
}

/** @param field the field of the entry that the finding points at */
function entryFinding(file: string, { rule, entry, message }: EntryWarning, field: string): Finding {
  const { severity } = REGISTRY_RULES[rule];
  return { rule, severity, file, ...entry.places.field(field), message: `${entry.label}: ${message}` };
}

function isAccepted({ rule, entry, other }: EntryWarning): boolean {
  return accepts(entry, rule) || (other !== undefined && accepts(other, rule));
}

function accepts(entry: ExaminedEntry, rule: string): boolean {
  return Object.hasOwn(entry.accept, rule);
}

/** @param used the rules of the warnings about each entry */
function unusedAccepts(
  shape: EntryShape,
  used: ReadonlyMap<ExaminedEntry, ReadonlySet<string>>,
  { tenants, schema }: { readonly tenants: TenantTables | null; readonly schema: Schema | undefined },
): (EntryWarning & { accepted: string })[] {
  const { entry } = shape;
  return Object.keys(entry.accept).flatMap((accepted) => {
    const isUsed = used.get(entry)?.has(accepted) ?? false;
    const isOpen =
      (accepted === 'tenant-column-first' && isUndecided(shape, tenants)) ||
      (accepted === 'constraint-index' && (schema === undefined || !isTableKnown(shape, schema)));
    if (isUsed || isOpen) return [];
    const message = `it accepts ${accepted}, but does not break that rule; remove ${accepted} from accept`;
    return [{ rule: 'unused-accept', entry, message, accepted }];
  });
}

/** Whether the rule for the tenant column is off, or needs a schema to find out if the table has that column. */
function isUndecided(shape: EntryShape, tenants: TenantTables | null): boolean {
  if (tenants === null) return true;
  return startsWithOtherColumn(shape, tenants.column) && tenants.has(shape) === undefined;
}
