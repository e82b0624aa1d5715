import {
  type ExaminedEntry,
  type ExaminedRegistry,
  examineRegistry,
} from '../../registry/examine-registry.ts';
import { readRegistryFile } from '../../registry/load-registry.ts';
import { problemText, RegistryError, type RegistryProblem } from '../../registry/registry-error.ts';
import { REGISTRY_RULES } from '../../registry/rules.ts';
import type { Finding } from '../finding.ts';
import { type ExaminedShape, examinedShape } from './examined-shape.ts';
import { foreignKeysWithoutIndex } from './foreign-keys.ts';
import { overlaps } from './overlaps.ts';
import type { RegistrySchema } from './schema.ts';
import { beginsElsewhere, type TenantTables, tenantColumnLast, tenantTables } from './tenant-column.ts';
import type { EntryWarning } from './warning.ts';

export interface LintRegistryOptions {
  /**
   * The column that tells whose a row is. Null: the database has one tenant, or keeps them apart in another way.
   * @default 'tenant_id'
   */
  readonly tenantColumn?: string | null | undefined;
  /** What the migrations make. Without it foreign keys are not looked at. @default undefined */
  readonly schema?: RegistrySchema | undefined;
}

/**
 * Everything that is wrong with a registry, in the words of `cdk synth` and `run`, and what looks unwise in the entries
 * that can be used; in the order of the file, foreign keys last. A file that cannot be read is a finding as well.
 * @param file relative to the working directory; findings name it as it is given.
 */
export async function lintRegistry(file: string, options: LintRegistryOptions = {}): Promise<Finding[]> {
  const { tenantColumn = 'tenant_id', schema } = options;
  const { examined, problems } = await examine(file);
  const shapes = examined.map(examinedShape);
  const tenants = tenantColumn === null ? null : tenantTables(tenantColumn, shapes, schema);
  const warnings = [...overlaps(shapes), ...(tenants === null ? [] : tenantColumnLast(shapes, tenants))];
  const found = [
    ...problems.map(problemFinding),
    ...warnings.filter((warning) => !isAccepted(warning)).map((warning) => warningFinding(warning, file)),
    ...shapes.flatMap((shape) => unusedAccepts(shape, warnings, tenants, file)),
  ].toSorted((one, two) => one.line - two.line || one.column - two.column);
  const foreignKeys = schema === undefined ? [] : foreignKeysWithoutIndex(schema, shapes, tenantColumn);
  return [...found, ...foreignKeys];
}

async function examine(file: string): Promise<ExaminedRegistry> {
  try {
    const { entries, places } = await readRegistryFile(file);
    return await examineRegistry(entries, file, places);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return { examined: [], problems: error.problems };
  }
}

function problemFinding(problem: RegistryProblem): Finding {
  const { rule, file, line, column } = problem;
  return { rule, severity: REGISTRY_RULES[rule].severity, file, line, column, message: problemText(problem) };
}

function warningFinding({ rule, entry, message }: EntryWarning, file: string): Finding {
  return entryFinding(rule, entry, 'sql', message, file);
}

function entryFinding(
  rule: EntryWarning['rule'],
  entry: ExaminedEntry,
  field: string,
  message: string,
  file: string,
): Finding {
  const { severity } = REGISTRY_RULES[rule];
  return { rule, severity, file, ...entry.places.field(field), message: `${entry.label}: ${message}` };
}

function isAccepted({ rule, entry, other }: EntryWarning): boolean {
  return Object.hasOwn(entry.accept, rule) || (other !== undefined && Object.hasOwn(other.accept, rule));
}

function unusedAccepts(
  shape: ExaminedShape,
  warnings: readonly EntryWarning[],
  tenants: TenantTables | null,
  file: string,
): Finding[] {
  const { entry } = shape;
  return Object.keys(entry.accept).flatMap((rule) => {
    const isUsed = warnings.some(
      (warning) => warning.rule === rule && (warning.entry === entry || warning.other === entry),
    );
    if (isUsed || (rule === 'tenant-column-first' && isUndecided(shape, tenants))) return [];
    const message = `it accepts ${rule}, and there is nothing to accept; remove that`;
    return [entryFinding('unused-accept', entry, `accept.${rule}`, message, file)];
  });
}

/** Nobody can say without the schema whether the table is one of tenants; or the rule is off. */
function isUndecided(shape: ExaminedShape, tenants: TenantTables | null): boolean {
  if (tenants === null) return true;
  return beginsElsewhere(shape, tenants.column) && tenants.has(shape) === undefined;
}
