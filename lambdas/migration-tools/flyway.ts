import { listed } from '../shared/text.ts';
import type { ToolMigration } from '../shared/tool-migrations.ts';
import type { Comparison, Row, ToolTable } from './comparison.ts';

/** A version of Flyway without what does not count: `1`, `01` and `1.0` are the same. */
function partsOf(version: string): bigint[] {
  const parts = version.split(/[._]/).map((part) => BigInt(/^\d+$/.test(part) ? part : 0));
  while (parts.length > 1 && parts.at(-1) === 0n) parts.pop();
  return parts;
}

function isAtMost(version: string, other: string): boolean {
  const [a, b] = [partsOf(version), partsOf(other)];
  const at = a.findIndex((part, place) => part !== (b[place] ?? 0n));
  return at === -1 || (a[at] ?? 0n) < (b[at] ?? 0n);
}

const keyOf = (version: unknown, description: unknown) =>
  version === null ? `R ${description}` : partsOf(String(version)).join('.');

/** The last row of each migration that counts: a row of an undo, or of a deletion by `repair`, revokes those before it. */
function appliedRows(rows: readonly Row[]): Map<string, Row> {
  const applied = new Map<string, Row>();
  for (const row of rows.toSorted((a, b) => Number(a.installed_rank) - Number(b.installed_rank))) {
    const key = keyOf(row.version, row.description);
    if (/^(UNDO|DELETE)/.test(String(row.type))) applied.delete(key);
    else applied.set(key, row);
  }
  return applied;
}

/** `success` is false only for a migration that ran without a transaction: others leave no row when they fail. */
export const flyway: ToolTable = {
  columns: ['installed_rank', 'version', 'description', 'type', 'script', 'checksum', 'success'],
  compare(migrations, rows, table): Comparison {
    const applied = appliedRows(rows);
    const baselines = rows
      .filter((row) => /BASELINE$/.test(String(row.type)))
      .map(({ version }) => String(version));
    const isPending = ({ key, checksum }: ToolMigration) => {
      if (checksum === undefined) {
        return !applied.has(keyOf(key, '')) && !baselines.some((baseline) => isAtMost(key, baseline));
      }
      const row = applied.get(keyOf(null, key));
      return row === undefined || (checksum !== null && row.checksum !== checksum);
    };
    const pending = migrations.filter(isPending);
    const failed = [...applied.values()].filter(({ success }) => success === false);
    if (failed.length > 0) {
      return {
        pending,
        problem:
          `Flyway has a failed migration, ${listed(failed.map(({ script }) => String(script)))} (${table}), so flyway migrate would fail. Undo ` +
          'what it has changed, or complete it, and run flyway repair.',
      };
    }
    const doubtful = migrations.filter(({ checksum }) => checksum === null);
    if (pending.length > 0 || doubtful.length === 0) return { pending };
    return {
      pending,
      unknown: `${listed(doubtful.map(({ name }) => name))} has placeholders, whose values decide whether Flyway applies it again`,
    };
  },
};
