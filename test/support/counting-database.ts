import type { Database } from '../../lambdas/postgres/client.ts';

interface CountingDatabase {
  readonly database: Database;
  /** The texts of the queries that were sent since the last call. A text can have several statements: it is one round trip. */
  take(): string[];
}

/**
 * A database that counts what its sessions send after they were opened.
 * @param before waited for before each query is sent, with its text
 */
export function countingDatabase(
  database: Database,
  before: (text: string) => Promise<void> = async () => {},
): CountingDatabase {
  let sent: string[] = [];
  return {
    database: {
      trustedRoles: database.trustedRoles,
      async connect(purpose) {
        const client = await database.connect(purpose);
        const query = client.query.bind(client) as (...values: unknown[]) => unknown;
        const counted = async (...values: unknown[]) => {
          const text = typeof values[0] === 'string' ? values[0] : JSON.stringify(values[0]);
          sent.push(text);
          await before(text);
          return await query(...values);
        };
        // The session itself must stay the same object: the product finds what it knows about a session by it.
        Object.assign(client, { query: counted });
        return client;
      },
    },
    take() {
      const taken = sent;
      sent = [];
      return taken;
    },
  };
}
