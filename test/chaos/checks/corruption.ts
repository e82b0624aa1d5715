import type { Client } from 'pg';
import type { Target } from '../target.ts';
import type { ChaosEntry } from '../world/entries.ts';
import { idOf } from './indexes.ts';
import { type Violation, violationIf } from './violation.ts';

/** The content of each index agrees with its table: amcheck for btree, a comparison of query results for the others. */
export async function checkCorruption(
  target: Pick<Target, 'connect'>,
  entries: readonly ChaosEntry[],
): Promise<Violation[]> {
  const client = await target.connect('check');
  try {
    return [
      ...violationIf('amcheck finds no error in an index.', await readAmcheckErrors(client)),
      ...violationIf('An index returns the same rows as a sequential scan.', await probeAll(client, entries)),
    ];
  } finally {
    await client.end();
  }
}

async function readAmcheckErrors(client: Client): Promise<unknown[]> {
  const { rows } = await client.query<{ oid: string; index: string }>(
    `select c.oid::text as oid, c.oid::regclass::text as index
       from pg_index i
       join pg_class c on c.oid = i.indexrelid and c.relkind = 'i'
       join pg_am a on a.oid = c.relam and a.amname = 'btree'
       join pg_namespace n on n.oid = c.relnamespace and n.nspname in ('public', 'shop', 'deploy_step')
      where i.indisvalid`,
  );
  const errors: unknown[] = [];
  for (const { oid, index } of rows) {
    try {
      await client.query('select chaos_checks.bt_index_check($1::oid::regclass, true)', [oid]);
    } catch (error) {
      errors.push({ index, error: error instanceof Error ? error.message : String(error) });
    }
  }
  return errors;
}

async function probeAll(client: Client, entries: readonly ChaosEntry[]): Promise<unknown[]> {
  const different: unknown[] = [];
  for (const entry of entries) {
    if (entry.probe === undefined) continue;
    const through = await readThrough(client, entry, 'index');
    const sequential = await readThrough(client, entry, 'table');
    if (through.rows !== sequential.rows || !through.plan.includes(entry.name)) {
      different.push({ index: idOf(entry), through, sequential });
    }
  }
  return different;
}

/** The ids of the rows that a condition selects, read in one of two ways, and the plan that was used. */
async function readThrough(
  client: Client,
  { table, schema, probe }: ChaosEntry,
  source: 'index' | 'table',
): Promise<{ rows: string; plan: string }> {
  for (const setting of ['enable_indexscan', 'enable_bitmapscan', 'enable_indexonlyscan']) {
    await client.query(`set ${setting} = ${source === 'index' ? 'on' : 'off'}`);
  }
  await client.query(`set enable_seqscan = ${source === 'index' ? 'off' : 'on'}`);
  const select = `from ${schema === 'public' ? '' : `${schema}.`}${table} where ${probe}`;
  const { rows } = await client.query(
    `select count(*) || ' ' || coalesce(md5(string_agg(id::text, ',' order by id)), '') as ids ${select}`,
  );
  const { rows: plan } = await client.query(`explain select id ${select}`);
  return { rows: String(rows[0]?.ids), plan: plan.map((line) => String(line['QUERY PLAN'])).join('\n') };
}
