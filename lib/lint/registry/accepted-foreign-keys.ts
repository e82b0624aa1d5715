import type { SourcePlace } from '../../sql/places.ts';
import type { Finding } from '../finding.ts';

/** A foreign key that needs no index: applied and generated migrations cannot have a comment that says so. */
export interface AcceptedForeignKey {
  /** TABLE or SCHEMA.TABLE, as in the catalog. */
  readonly table: string;
  /** In any order. */
  readonly columns: readonly string[];
  readonly reason: string;
  /** Where it is configured. */
  readonly place: SourcePlace;
}

/** The accepted foreign keys of a project, and which of them were needed. */
export class AcceptedForeignKeys {
  readonly #accepted: readonly AcceptedForeignKey[];
  readonly #used = new Set<AcceptedForeignKey>();

  constructor(accepted: readonly AcceptedForeignKey[]) {
    this.#accepted = accepted;
  }

  /** Whether a foreign key without an index is accepted. */
  accepts(table: { readonly schema: string; readonly name: string }, columns: readonly string[]): boolean {
    const names = [table.name, `${table.schema}.${table.name}`];
    const key = keyOf(columns);
    const found = this.#accepted.filter((one) => names.includes(one.table) && keyOf(one.columns) === key);
    for (const one of found) this.#used.add(one);
    return found.length > 0;
  }

  /** A warning for each one that was not needed. Call it after all foreign keys were checked. */
  unusedFindings(): Finding[] {
    return this.#accepted
      .filter((one) => !this.#used.has(one))
      .map(({ table, columns, place }) => ({
        ...{ rule: 'unused-accept', severity: 'warning', ...place },
        message:
          `The foreign key (${columns.join(', ')}) of ${table} is accepted without an index, but it has one, or does not exist. ` +
          'Remove it from lint.acceptedForeignKeys.',
      }));
  }
}

function keyOf(columns: readonly string[]): string {
  return JSON.stringify(columns.toSorted());
}
