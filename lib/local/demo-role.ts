import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { quoteIdentifier } from '../../lambdas/postgres/identifiers.ts';
import { leastPrivilegeScript, readLeastPrivilege } from '../../lambdas/postgres/least-privilege.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';

/**
 * Creates the role that deploys to the demo database, with the script that preflight shows to a superuser.
 * @param databaseUrl of a superuser
 * @returns the URL with that role and a random password
 */
export async function createDemoRole(databaseUrl: string, registry: CompiledRegistry): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'pg-deploy-step role' });
  // The next statement reports a lost connection. Without a listener the lost connection would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const names = await readLeastPrivilege(client, { tables: registry, migrates: true });
    if (names === null) return databaseUrl;
    const password = randomBytes(16).toString('hex');
    await client.query(leastPrivilegeScript(names));
    await client.query(`alter role ${quoteIdentifier(names.role)} password '${password}'`);
    const url = new URL(databaseUrl);
    url.username = encodeURIComponent(names.role);
    url.password = password;
    return url.href;
  } finally {
    await client.end();
  }
}
