import { expect } from 'vitest';
import { quotedTable, quoteIdentifier } from '../../lambdas/postgres/identifiers.ts';
import { type CompiledIndex, inSchema } from '../../lambdas/shared/registry.ts';
import { type Imported, importSources } from '../../lib/import/import-sources.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { connect, createDatabase } from '../support/database.ts';

interface ServerIndex {
  readonly schema: string;
  readonly name: string;
  readonly text: string;
  readonly constraint: boolean;
  readonly part: boolean;
}

const INDEXES = `
  select n.nspname as schema, c.relname as name, pg_get_indexdef(i.indexrelid) as text, c.relispartition as part,
         exists (select from pg_constraint con where con.conindid = c.oid and con.contype in ('p', 'u', 'x')) as "constraint"
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2`;

/** What an import of some files wrote and reported, after it was compared with a server that ran the same files. */
interface Compared extends Imported {
  /** `SCHEMA.NAME` of the indexes that the server has, without those of constraints and the parts on partitions. */
  readonly onServer: readonly string[];
}

/**
 * Runs files on an empty database, imports them, and compares: each entry defines an index that the server has, to the letter,
 * and each other index of the server is reported by name. Indexes of constraints and parts on partitions are counted.
 * @param adminUrl connection string of the server @default the server of the run, version 18
 */
export async function importAndCompare(files: readonly string[], adminUrl?: string): Promise<Compared> {
  const sources = files.map((text, at) => ({ file: `${at + 1}.sql`, text, hasLines: true }));
  const imported = await importSources({ files: sources, skipped: [] });
  const compiled = await compileRegistry(imported.entries, 'imported');
  const registry = compiled.map((entry) => inSchema(entry, entry.schema ?? 'public'));
  const database = await createDatabase(adminUrl === undefined ? {} : { adminUrl });
  try {
    for (const { text } of sources) {
      const session = await connect(database.url);
      await session.query(text).finally(() => session.end());
    }
    const client = await connect(database.url);
    try {
      const indexes = async () => (await client.query<ServerIndex>(INDEXES)).rows;
      const before = await indexes();
      const own = before.filter(({ constraint, part }) => !constraint && !part);
      const written: string[] = [];
      for (const index of registry) {
        const name = keyOf(index);
        const existing = own.find((one) => keyOf(one) === name);
        expect(existing?.text, `the server has no index ${name}`).toBeDefined();
        written.push(name);
        await client.query('begin');
        await client.query(`drop index ${quoteIdentifier(index.schema)}.${quoteIdentifier(index.name)}`);
        await client.query(createSql(index));
        expect((await indexes()).find((one) => keyOf(one) === name)?.text).toBe(existing?.text);
        await client.query('rollback');
      }
      const reports = imported.notTaken.map(({ what, reason }) => `${what}: ${reason}`);
      const missing = own.filter((one) => !written.includes(keyOf(one)));
      const unreported = missing.filter(({ name }) => !reports.some((text) => text.includes(name)));
      expect(unreported, `neither imported nor reported; reports:\n${reports.join('\n')}`).toEqual([]);
      return { ...imported, onServer: own.map(keyOf) };
    } finally {
      await client.end();
    }
  } finally {
    await database.drop();
  }
}

function keyOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`;
}

function createSql(index: CompiledIndex): string {
  return `create ${index.unique ? 'unique ' : ''}index ${quoteIdentifier(index.name)} on ${quotedTable(index)} ${index.definition}`;
}
