import type { MigrationTool } from '../shared/tool-migrations.ts';
import { visible } from '../shared/visible-text.ts';
import { alembic } from './alembic.ts';
import { notIn, type ToolTable } from './comparison.ts';
import { django } from './django.ts';
import { drizzle } from './drizzle.ts';
import { flyway } from './flyway.ts';
import { prisma } from './prisma.ts';

/** A table with a row for each applied migration. */
function rowForEach(column: string, keyOf: (value: string) => string): ToolTable {
  return {
    columns: [column],
    compare: (migrations, rows) => ({
      pending: notIn(
        migrations,
        rows.map((row) => keyOf(String(row[column]))),
      ),
    }),
  };
}

/** One row: the version of the last migration, and whether it failed or still runs. */
const golangMigrate: ToolTable = {
  columns: ['version', 'dirty'],
  compare(migrations, [row], table) {
    if (row === undefined) return { pending: migrations };
    const version = String(row.version);
    const pending = migrations.filter(({ key }) => BigInt(key) > BigInt(version));
    if (row.dirty !== true) return { pending };
    return {
      pending,
      problem:
        `golang-migrate has a dirty version, ${visible(version)} (${table}): its migration has failed, so migrate up would fail. If it does not run ` +
        `any more, complete it and run migrate force ${visible(version)}, or undo what it has changed and force the version before it.`,
    };
  },
};

export const TOOLS: Readonly<Record<MigrationTool, ToolTable>> = {
  alembic,
  django,
  drizzle,
  flyway,
  'golang-migrate': golangMigrate,
  'node-pg-migrate': rowForEach('name', (name) => name),
  prisma,
  rails: rowForEach('version', (version) => version.replace(/^0+(?=\d)/, '')),
};
