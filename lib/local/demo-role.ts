import { randomBytes } from 'node:crypto';
import { connectClient } from '../../lambdas/postgres/connect.ts';
import { quoteIdentifier } from '../../lambdas/postgres/identifiers.ts';
import { leastPrivilegeScript, readLeastPrivilege } from '../../lambdas/postgres/least-privilege.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';

const CONNECTION_TIMEOUT_MS = 15_000;

/**
 * Creates the role that deploys to the demo database, with the script that preflight shows to a superuser.
 * @param databaseUrl of a superuser
 * @returns the URL with that role and a random password
 */
export async function createDemoRole(databaseUrl: string, registry: CompiledRegistry): Promise<string> {
  const client = await connectClient(
    { connectionString: databaseUrl },
    { application_name: 'pg-deploy-step role', connectionTimeoutMillis: CONNECTION_TIMEOUT_MS },
  );
  try {
    const tables = registry.map(({ schema, table }) => ({ schema: schema ?? 'public', table }));
    const names = await readLeastPrivilege(client, { tables, migrates: true });
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
