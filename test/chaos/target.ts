import { setTimeout as pause } from 'node:timers/promises';
import { Client, type QueryResultRow } from 'pg';
import { sqlstateOf } from '../../lambdas/postgres/sqlstate.ts';
import type { EmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';

/** Runs one statement and returns its rows. */
export type Query = <R extends QueryResultRow = QueryResultRow>(
  sql: string,
  params?: unknown[],
) => Promise<R[]>;

/** Longest time that the chaos itself tries to reach the server or to acquire a lock, before it ends with an error. */
const PATIENCE_MS = 180_000;

/** Classes of SQLSTATEs that another attempt can fix: connection, resources, operator intervention, transaction rollback. */
const TEMPORARY = /^(08|53|57|40|55)/;

/** The database that a round works on, and its server. */
export class Target {
  readonly database: string;
  readonly #server: Pick<EmbeddedPostgres, 'url' | 'restart'>;
  #restarting: Promise<void> = Promise.resolve();
  #sessions = 0;

  constructor(server: Pick<EmbeddedPostgres, 'url' | 'restart'>, database: string) {
    this.#server = server;
    this.database = database;
  }

  get url(): string {
    return this.#server.url(this.database);
  }

  /** Opens a session. It is called "chaos …", so that it can be distinguished from the product's sessions. */
  async connect(purpose: string): Promise<Client> {
    this.#sessions += 1;
    const client = new Client({
      connectionString: this.url,
      application_name: `chaos ${purpose} ${this.#sessions}`,
      connectionTimeoutMillis: 30_000,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    return client;
  }

  /** Runs one statement on a separate connection. */
  readonly query: Query = async <R extends QueryResultRow>(sql: string, params?: unknown[]) => {
    const client = await this.connect('query');
    try {
      return (await client.query<R>(sql, params)).rows;
    } finally {
      client.end().catch(() => undefined);
    }
  };

  /** The same, again and again while the server is down or a lock is held. */
  readonly persist: Query = async <R extends QueryResultRow>(sql: string, params?: unknown[]) => {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.query<R>(sql, params);
      } catch (error) {
        if (!isTemporary(error) || Date.now() > deadline) throw error;
        await pause(200);
      }
    }
  };

  /** Restarts the server. Only one restart at a time is made. */
  async restart(mode: 'fast' | 'immediate'): Promise<void> {
    const restart = this.#restarting.then(() => this.#server.restart(mode));
    this.#restarting = restart.catch(() => undefined);
    await restart;
  }
}

/** Errors of the socket have no SQLSTATE. */
export function isTemporary(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  return sqlstate === undefined || TEMPORARY.test(sqlstate);
}
