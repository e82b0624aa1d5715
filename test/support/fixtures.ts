import { join } from 'node:path';
import { Client } from 'pg';
import { importSources } from '../../lib/import/import-sources.ts';
import { findSources } from '../../lib/sources/find-sources.ts';
import { readSql } from '../../lib/sql/read-sql.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');

export function fixture(name: string): string {
  return join(FIXTURES, name);
}

export async function importFixture(name: string) {
  return await importSources(await findSources(fixture(name)));
}

/** Runs the statements of a fixture, except those that no server can run: commands of psql, data of COPY, placeholders, errors. */
export async function loadFixture(databaseUrl: string, name: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const { text } of (await findSources(fixture(name))).files) {
      await client.query('reset all');
      for (const { start, end, node, error, placeholders } of readSql(text).statements) {
        if (error !== undefined || node?.CopyStmt !== undefined || placeholders.length > 0) continue;
        await client.query(text.slice(start, end));
      }
    }
  } finally {
    await client.end();
  }
}
