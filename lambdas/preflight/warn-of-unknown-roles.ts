import type { Client } from '../postgres/client.ts';
import { listed } from '../shared/text.ts';
import { quoted } from '../shared/visible-text.ts';

/** Roles that the warning names. */
const MOST_ROLES = 5;

/** Warns about configured trusted roles that do not exist: a wrong name would be trusted as soon as a role gets it. */
export async function warnOfUnknownRoles(client: Client, trustedRoles: readonly string[]): Promise<string[]> {
  const unknown = await unknownRoles(client, trustedRoles);
  if (unknown === null) return [];
  return [
    `database.trustedRoles or --trusted-role names ${unknown}, but the server has no such role. Correct the name, which is case-sensitive, or remove it.`,
  ];
}

/** Warns about roles of the application that do not exist, unless a migration of this deploy creates them: the deploy waits for no session of them. */
export async function warnOfUnknownDrainRoles(client: Client, roles: readonly string[]): Promise<string[]> {
  const unknown = await unknownRoles(client, roles);
  if (unknown === null) return [];
  return [
    `drain.roles names ${unknown}, but the server has no such role, so the deploy waits for none of its sessions. Correct the name, which is case-sensitive, or remove it.`,
  ];
}

/** The names that are no roles of the server, for a message. Null: there are none. */
async function unknownRoles(client: Client, names: readonly string[]): Promise<string | null> {
  if (names.length === 0) return null;
  const { rows } = await client.query<{ name: string }>(
    'select rolname as name from pg_roles where rolname = any ($1)',
    [names],
  );
  const existing = new Set(rows.map(({ name }) => name));
  const unknown = names.filter((name) => !existing.has(name)).map((name) => quoted(name));
  return unknown.length === 0 ? null : listed(unknown, MOST_ROLES);
}
