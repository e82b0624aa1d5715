/*
 * One task of a demo service: a process that holds connections to the database and writes rows while it runs.
 *
 * Variables: DATABASE_URL; SERVICE_NAME, the application_name of its connections; READY_FILE, which it creates when all
 * connections are open; WORK_SQL, a statement that it runs every 200 ms (default: it inserts a heartbeat into the demo's
 * audit_logs); IGNORE_SIGTERM, any value: it does not react to SIGTERM. It ends on SIGTERM, when the database has been unreachable for 30 seconds, and when the folder of
 * READY_FILE is removed.
 */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '../../lambdas/postgres/client.ts';
import { connectClient } from '../../lambdas/postgres/connect.ts';

const CONNECTIONS = 2;
const WORK_INTERVAL_MS = 200;
const MAX_UNREACHABLE_MS = 30_000;
const HEARTBEAT = `
  insert into public.audit_logs (tenant_id, actor, action)
  select id, pg_catalog.current_setting('application_name'), 'heartbeat' from public.tenants order by id limit 1`;

// Class 42, such as undefined_table: the migrations are not applied yet, or the database is not the demo database.
const UNDEFINED_OBJECT = /^42/;

const { DATABASE_URL = '', SERVICE_NAME = 'demo', READY_FILE = '', WORK_SQL = HEARTBEAT } = process.env;
const stopping = new AbortController();
const open = new Set<Client>();

process.on('SIGTERM', () => {
  if (process.env.IGNORE_SIGTERM !== undefined) return;
  stopping.abort();
  // A statement that waits for a lock must not delay the end of the task.
  setTimeout(() => process.exit(0), 2000).unref();
  void Promise.all([...open].map((client) => client.end())).then(() => process.exit(0));
});

await Promise.all(Array.from({ length: CONNECTIONS }, (_, number) => keepWorking(number)));

async function keepWorking(number: number): Promise<void> {
  let lastSeen = Date.now();
  while (!stopping.signal.aborted) {
    let client: Client | undefined;
    try {
      client = await connectClient(
        { connectionString: DATABASE_URL },
        { application_name: SERVICE_NAME, connectionTimeoutMillis: 5000 },
      );
      open.add(client);
      if (open.size === CONNECTIONS && READY_FILE !== '') writeFileSync(READY_FILE, '');
      for (;;) {
        lastSeen = Date.now();
        await pause(WORK_INTERVAL_MS, undefined, { signal: stopping.signal });
        if (READY_FILE !== '' && !existsSync(path.dirname(READY_FILE))) process.exit(0);
        await work(client, number);
      }
    } catch {
      if (client !== undefined) open.delete(client);
      client?.end().catch(() => undefined);
    }
    if (Date.now() - lastSeen > MAX_UNREACHABLE_MS) process.exit(1);
    await pause(500, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
}

/** Runs one statement: WORK_SQL on the first connection, a read on the others. */
async function work(client: Client, number: number): Promise<void> {
  try {
    await client.query(number === 0 ? WORK_SQL : 'select pg_catalog.now()');
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined || !UNDEFINED_OBJECT.test(code)) throw error;
  }
}
