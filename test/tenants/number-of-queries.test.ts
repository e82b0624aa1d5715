import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import type { TestDatabase } from '../support/database.ts';
import { numberOfQueries } from '../support/number-of-queries.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

const FEW = 10;
const MANY = 1_000;

/** After "on". The third has different spellings in the catalog and in the registry, the last is on a partitioned table. */
const FORMS = [
  'orders (id)',
  'orders (status, created_at desc)',
  "orders (lower(status)) where status in ('open', 'held')",
  'events (created_at)',
];

const ENTRIES: IndexEntry[] = FORMS.map((form, at) => ({
  name: `idx_${at}`,
  sql: `create index concurrently if not exists idx_${at} on ${form}`,
  description: 'of each tenant',
  schemas: ['tenant_*', '!tenant_template'],
}));

const SCHEMAS =
  "select nspname from pg_namespace where nspname like 'tenant\\_%' and nspname <> 'tenant_template'";

/** Every tenth tenant has the partitioned table. */
const createTenants = (count: number) => `
  do $$ begin
    for n in 1..${count} loop
      execute format('create schema tenant_%1$s; create table tenant_%1$s.orders (id int, status text, created_at date)', n);
      if n % 10 = 0 then
        execute format('create table tenant_%1$s.events (id int, created_at date) partition by hash (id);
          create table tenant_%1$s.events_0 partition of tenant_%1$s.events for values with (modulus 1, remainder 0)', n);
      end if;
    end loop;
    create schema tenant_template;
    create schema tenant_without_tables;
  end $$`;

/** Runs a statement in each schema that has the table. */
const inEachSchema = (table: string, statement: string) => `
  do $$ declare one name; begin
    for one in ${SCHEMAS} and to_regclass(format('%I.${table}', nspname)) is not null loop
      execute format('${statement.replaceAll("'", "''")}', one);
    end loop;
  end $$`;

onEachMajor('the number of queries for a schema per tenant', (major) => {
  const databases: TestDatabase[] = [];

  beforeAll(async () => {
    for (const count of [FEW, MANY]) {
      const database = await serverOf(major).createDatabase();
      databases.push(database);
      await database.query(createTenants(count));
    }
  });
  afterAll(async () => {
    for (const database of databases) await database.drop();
  });

  const inAll = async (sql: (form: string, at: number) => string) => {
    for (const [at, form] of FORMS.entries())
      for (const database of databases)
        await database.query(inEachSchema(form.slice(0, form.indexOf(' ')), sql(form, at)));
  };
  const ofBoth = async () => {
    const results = [];
    for (const database of databases) results.push(await numberOfQueries(database, ENTRIES));
    return results;
  };

  test(`is the same for ${FEW} and ${MANY} schemas in which all indexes are missing`, async () => {
    const [few, many] = await ofBoth();

    expect(many?.counts).toEqual(few?.counts);
    expect(many?.plan.batches.reduce((sum, { builds }) => sum + builds, 0)).toBe(3 * MANY);
  });

  test(`is the same for ${FEW} and ${MANY} schemas with nothing to do`, async () => {
    await inAll((form, at) => `create index idx_${at} on %1$I.${form}`);

    const [few, many] = await ofBoth();

    expect(many?.counts).toEqual(few?.counts);
    expect(many?.plan).toMatchObject({ decision: 'done', present: 3 * MANY + MANY / 10 });
  });

  test(`is the same for ${FEW} and ${MANY} schemas in which all indexes have drifted`, async () => {
    await inAll(
      (form, at) =>
        `drop index %1$I.idx_${at}; create index idx_${at} on %1$I.${form.slice(0, form.indexOf(' '))} (id desc)`,
    );

    const [few, many] = await ofBoth();

    expect(many?.counts).toEqual(few?.counts);
    expect(many?.plan).toMatchObject({ decision: 'done' });
  });

  test(`is the same for ${FEW} and ${MANY} schemas with invalid indexes`, async () => {
    for (const database of databases)
      await database.query(
        "update pg_index set indisvalid = false from pg_class c where c.oid = indexrelid and relname like 'idx%'",
      );

    const [few, many] = await ofBoth();

    expect(many?.counts).toEqual(few?.counts);
    expect(many?.plan).toMatchObject({ decision: 'build' });
  });
});
