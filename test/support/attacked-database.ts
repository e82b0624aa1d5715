import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type Attacker, createAttacker } from './attacker.ts';
import { connect, type TestDatabase } from './database.ts';
import { type Major, serverOf } from './servers.ts';

/** A database in which a weaker role attacks the role that deploys. */
export interface AttackedDatabase {
  readonly database: TestDatabase;
  readonly attacker: Attacker;
  /** The deploy role, which has only what the suite grants: it may log in, and create schemas. */
  readonly deployRole: string;
  /** Connection string for the product, as a superuser or as the deploy role. */
  urlOf(role: 'superuser' | 'least privilege'): string;
}

/**
 * Opens a new attacked database for each test of the suite that calls this.
 * @param onOpen receives the database before each test, and creates what the tests need
 */
export function useAttackedDatabase(
  major: Major,
  onOpen: (attacked: AttackedDatabase) => Promise<void>,
): void {
  const server = serverOf(major);
  let admin: Client;
  let attacked: AttackedDatabase;

  beforeAll(async () => {
    admin = await connect(server.adminUrl);
  });
  beforeEach(async () => {
    attacked = await openAttackedDatabase(await server.createDatabase());
    await onOpen(attacked);
  });
  afterEach(async () => {
    const { database, deployRole, attacker } = attacked;
    await database.drop();
    await admin.query(`drop role ${deployRole}, ${attacker.role}`);
  });
  afterAll(async () => {
    await admin?.end();
  });
}

async function openAttackedDatabase(database: TestDatabase): Promise<AttackedDatabase> {
  const attacker = await createAttacker(database);
  const deployRole = `least_${database.name}`;
  await database.query(
    `create role ${deployRole} login password 'deploy'; grant create on database ${database.name} to ${deployRole}`,
  );
  return {
    ...{ database, attacker, deployRole },
    urlOf(role) {
      const url = new URL(database.url);
      // The helpers replace the URL of a test database by that of its deploy role, and keep every other URL.
      url.searchParams.set('connect_timeout', '60');
      if (role === 'superuser') return url.href;
      url.username = deployRole;
      url.password = 'deploy';
      return url.href;
    },
  };
}
