import { sqlstateOf } from '../../../lambdas/postgres/sqlstate.ts';
import { type Disturbance, type Field, hold } from '../disturbance.ts';
import type { Random } from '../random.ts';
import { isTemporary } from '../target.ts';

const TABLES = [
  'accounts',
  'events',
  'events_mid_0',
  'items',
  'orders',
  'people',
  'shop.sales',
  'visits',
  'marks',
];

const LOCK_MODES = [
  ...['access share', 'row share', 'row exclusive', 'share update exclusive', 'share'],
  ...['share row exclusive', 'exclusive', 'access exclusive'],
];

/** Holds an old snapshot, for which concurrent builds wait. */
export function longReader(random: Random): Disturbance {
  const table = random.pick(TABLES);
  const milliseconds = random.integer(500, 6000);
  return {
    text: `a reader of ${table} holds its snapshot for ${milliseconds} ms`,
    run: async (field) =>
      await inSession(field, {
        statements: ['begin isolation level repeatable read', `select count(*) from ${table}`],
        milliseconds,
      }),
  };
}

export function lockHolder(random: Random): Disturbance {
  const table = random.pick(TABLES);
  const mode = random.pick(LOCK_MODES);
  const milliseconds = random.integer(300, 5000);
  return {
    text: `a session holds ${table} in ${mode} mode for ${milliseconds} ms`,
    run: async (field) =>
      await inSession(field, { statements: ['begin', `lock table ${table} in ${mode} mode`], milliseconds }),
  };
}

/** A writer that has changed a row and is idle in its transaction. */
export function idleWriter(random: Random): Disturbance {
  const id = random.integer(1, 500);
  const milliseconds = random.integer(500, 5000);
  return {
    text: `a writer of accounts is idle in its transaction for ${milliseconds} ms`,
    run: async (field) =>
      await inSession(field, {
        statements: ['begin', `update accounts set note = note || '!' where id = ${id}`],
        milliseconds,
      }),
  };
}

let transactions = 0;

/** A prepared transaction holds its locks without a session, and survives restarts. */
export function preparedTransaction(random: Random): Disturbance {
  const table = random.pick(TABLES);
  const mode = random.pick(LOCK_MODES);
  const milliseconds = random.integer(500, 5000);
  const end = random.pick(['commit', 'rollback']);
  return {
    text: `a prepared transaction holds ${table} in ${mode} mode for ${milliseconds} ms, then ${end}`,
    run: async (field) => {
      transactions += 1;
      const gid = `chaos ${process.pid} ${transactions}`;
      const statements = [
        ...[
          'begin',
          `lock table ${table} in ${mode} mode`,
          "insert into audit_logs (tenant_id, actor) values (1, 'prepared')",
        ],
        `prepare transaction '${gid}'`,
      ];
      await inSession(field, { statements, milliseconds });
      // It exists unless the session ended before PREPARE TRANSACTION.
      await field.target.persist(`${end} prepared '${gid}'`).catch((error: unknown) => {
        if (sqlstateOf(error) !== '42704') throw error;
      });
      field.journal.count('prepared transactions');
    },
  };
}

/** Runs statements in a session, waits, and closes the session. Someone can end the session at any time. */
async function inSession(
  field: Field,
  { statements, milliseconds }: { statements: readonly string[]; milliseconds: number },
): Promise<void> {
  try {
    const client = await field.target.connect('session');
    // The end of the disturbances also ends a statement that waits for a lock.
    const close = () => void client.end().catch(() => undefined);
    field.end.addEventListener('abort', close, { once: true });
    try {
      await client.query("set lock_timeout = '20s'");
      for (const statement of statements) await client.query(statement);
      await hold(field, milliseconds);
    } finally {
      field.end.removeEventListener('abort', close);
      close();
    }
  } catch (error) {
    // 42P01: the table is renamed, or its migration has not run yet.
    if (!isTemporary(error) && sqlstateOf(error) !== '42P01') throw error;
    field.journal.note(`  a session ended: ${error instanceof Error ? error.message : String(error)}`);
  }
}
