import { sqlstateOf } from '../../../lambdas/postgres/sqlstate.ts';
import { type Disturbance, type Field, hold, tryStatement } from '../disturbance.ts';
import type { Random } from '../random.ts';
import { EXTRA_DAYS_FROM } from '../world/tables.ts';

/*
 * What people do by hand in the database while a deploy runs. Each action leaves the database as it was, except for columns,
 * partitions and indexes that neither the registry nor the checks know.
 */

export function addAndDropColumn(random: Random): Disturbance {
  const table = random.pick(['accounts', 'items', 'orders', 'events', 'people', 'visits']);
  const milliseconds = random.integer(0, 3000);
  const column = `by_hand_${random.integer(1, 1_000_000)}`;
  return {
    text: `add a column to ${table}, drop it after ${milliseconds} ms`,
    run: async (field) => {
      if (!(await tryStatement(field, `alter table ${table} add column ${column} int default 7`))) return;
      await hold(field, milliseconds);
      await tryStatement(field, `alter table ${table} drop column ${column}`);
    },
  };
}

/** Creates a partition with rows, detaches it, attaches it again, drops it: as far as the plan says. */
export function changePartitions(random: Random): Disturbance {
  const number = random.integer(0, 100_000);
  const from = EXTRA_DAYS_FROM + number * 10;
  const table = `events_extra_${number}`;
  const range = `for values from (${from}) to (${from + 10})`;
  const concurrently = random.chance(50) ? ' concurrently' : '';
  const steps = [
    `create table ${table} partition of events ${range}`,
    `insert into events (day, writer, kind, value) select ${from}, 0, 'x', n from generate_series(1, 200) n`,
    `alter table events detach partition ${table}${concurrently}`,
    `alter table events attach partition ${table} ${range}`,
    `drop table ${table}`,
  ].slice(0, random.integer(2, 5));
  const milliseconds = random.integer(0, 1200);
  return {
    text: `${steps.length} of: create the partition ${table}, fill, detach${concurrently}, attach, drop, every ${milliseconds} ms`,
    run: async (field) => {
      for (const step of steps) {
        if (!(await tryStatement(field, step))) {
          // An interrupted DETACH CONCURRENTLY must be completed by hand.
          await finishDetach(field, table);
          return;
        }
        await hold(field, milliseconds);
      }
    },
  };
}

async function finishDetach({ target }: Field, table: string): Promise<void> {
  const pending = await target.persist(
    `select from pg_inherits where inhrelid = to_regclass($1) and inhdetachpending`,
    [table],
  );
  if (pending.length > 0) await target.persist(`alter table events detach partition ${table} finalize`);
}

/** Indexes of tables without partitions that anyone may rebuild. */
const REBUILDABLE = [
  'by_hand_items_note',
  'by_hand_orders',
  'by_hand_people',
  'chaos_orders_item',
  'chaos_visits_page',
];

export function reindexByHand(random: Random): Disturbance {
  const index = random.pick(REBUILDABLE);
  const concurrently = random.chance(70) ? 'concurrently ' : '';
  return {
    text: `reindex ${concurrently}${index}`,
    run: async (field) => {
      field.replaced.add(index);
      field.unsteady.add(index);
      field.debris.add(`${index}_cc`);
      await tryStatement(field, `reindex index ${concurrently}${index}`);
    },
  };
}

/** Builds an index that is not in the registry, and drops it. */
export function indexByHand(random: Random): Disturbance {
  const [table, column] = random.pick([
    ['accounts', 'balance'],
    ['items', 'kind'],
    ['orders', 'placed_at'],
    ['people', 'share'],
    ['events_mid_1', 'value'],
  ] as const);
  const name = `hand_${random.integer(1, 1_000_000)}`;
  const milliseconds = random.integer(0, 2000);
  return {
    text: `create index concurrently ${name} on ${table}, drop it after ${milliseconds} ms`,
    run: async (field) => {
      field.debris.add(name);
      await tryStatement(field, `create index concurrently ${name} on ${table} (${column})`);
      await hold(field, milliseconds);
      await tryStatement(field, `drop index concurrently if exists ${name}`);
    },
  };
}

/** Someone builds or drops an index of the registry by hand. */
export function registeredIndexByHand(random: Random): Disturbance {
  const name = random.pick([
    ...[
      'chaos_accounts_owner',
      'chaos_accounts_slow',
      'chaos_items_lower',
      'chaos_orders_total',
      'chaos_people_name',
    ],
    ...['chaos_orders_item', 'chaos_visits_page', 'chaos_sales_region'],
  ]);
  const drops = random.chance(50);
  const concurrently = random.chance(70);
  return {
    text: drops ? `drop ${name} by hand` : `build ${name} by hand`,
    run: async (field) => {
      const entry = field.entries.find((one) => one.name === name);
      if (entry === undefined) return;
      (drops ? field.dropped : field.replaced).add(name);
      field.unsteady.add(name);
      const index = entry.schema === 'public' ? name : `${entry.schema}.${name}`;
      await tryStatement(
        field,
        drops ? `drop index ${concurrently ? 'concurrently ' : ''}if exists ${index}` : entry.sql,
      );
    },
  };
}

/** Replaces the definition under a name of the registry whose entry says onDrift: "rebuild". */
export function driftByHand(random: Random): Disturbance {
  const column = random.pick(['note', 'price', 'kind']);
  return {
    text: `replace chaos_items_code by an index on ${column}`,
    run: async (field) => {
      field.dropped.add('chaos_items_code');
      field.unsteady.add('chaos_items_code');
      await tryStatement(field, 'drop index if exists chaos_items_code');
      await tryStatement(field, `create index if not exists chaos_items_code on items (${column})`);
    },
  };
}

export function renameAndBack(random: Random): Disturbance {
  const milliseconds = random.integer(200, 3000);
  const { text, there, back, indexes } = random.pick([
    {
      text: 'the table visits',
      there: 'alter table visits rename to visits_away',
      back: 'alter table visits_away rename to visits',
      indexes: ['chaos_visits_page', 'chaos_visits_visitor'],
    },
    {
      text: 'the column orders.total',
      there: 'alter table orders rename column total to total_away',
      back: 'alter table orders rename column total_away to total',
      indexes: ['chaos_orders_total'],
    },
    {
      text: 'the table "Mixed Case"',
      there: 'alter table "Mixed Case" rename to mixed_away',
      back: 'alter table mixed_away rename to "Mixed Case"',
      indexes: ['chaos_mixed'],
    },
    {
      text: 'the index by_hand_items_note',
      there: 'alter index by_hand_items_note rename to by_hand_items_note_away',
      back: 'alter index by_hand_items_note_away rename to by_hand_items_note',
      indexes: [],
    },
  ]);
  return {
    text: `rename ${text}, and back after ${milliseconds} ms`,
    run: async (field) => {
      for (const index of indexes) field.unsteady.add(index);
      if (await tryStatement(field, there)) await hold(field, milliseconds);
      // Also after an error: the connection can be lost after the commit.
      await field.target.persist(back).catch((error: unknown) => {
        // It does not have the other name: it was not renamed.
        if (!/^42/.test(sqlstateOf(error) ?? '')) throw error;
      });
    },
  };
}

export function maintenance(random: Random): Disturbance {
  const statement = random.pick([
    ...[
      'vacuum accounts',
      'vacuum (analyze) events',
      'vacuum full people',
      'vacuum (index_cleanup on) items',
      'vacuum full shop.sales',
    ],
    ...['analyze', 'analyze items', 'cluster orders', 'reindex table people', 'checkpoint'],
    ...['refresh materialized view concurrently item_totals', 'refresh materialized view item_totals'],
    ...['alter table orders set (fillfactor = 90)', 'alter table items alter column note set statistics 200'],
  ]);
  return {
    text: statement,
    run: async (field) => {
      await tryStatement(field, statement);
    },
  };
}
