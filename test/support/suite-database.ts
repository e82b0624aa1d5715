import { afterEach, beforeEach } from 'vitest';
import type { TestDatabase } from './database.ts';
import { expectNoLeftovers } from './leftovers.ts';
import { type Major, serverOf, type TestServer } from './servers.ts';

/**
 * Opens a new database for each test of the suite that calls this, and checks after the test that nothing is left behind.
 * @param schema statements that create the tables
 * @param onOpen receives the database, and its server, before each test
 */
export function useDatabase(
  major: Major,
  schema: string,
  onOpen: (database: TestDatabase, server: TestServer) => void,
): void {
  const server = serverOf(major);
  let database: TestDatabase;

  beforeEach(async () => {
    database = await server.createDatabase();
    onOpen(database, server);
    await database.query(schema);
  });
  afterEach(async () => {
    await expectNoLeftovers(async (sql) => await database.query(sql));
    await database.drop();
  });
}
