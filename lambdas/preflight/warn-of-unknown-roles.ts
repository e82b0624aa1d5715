import type { Client } from '../postgres/client.ts';
import { listed } from '../shared/text.ts';
import { quoted } from '../shared/visible-text.ts';

/** Roles that the warning names. */
const MOST_ROLES = 5;

/** Warns about configured trusted roles that do not exist: a wrong name would be trusted as soon as a role gets it. */
export async function warnOfUnknownRoles(client: Client, trustedRoles: readonly string[]): Promise<string[]> {
  if (trustedRoles.length === 0) return [];
  const { rows } = await client.query<{ name: string }>(
    'select rolname as name from pg_roles where rolname = any ($1)',
    [trustedRoles],
  );
  const names = new Set(rows.map(({ name }) => name));
  const unknown = trustedRoles.filter((name) => !names.has(name));
  if (unknown.length === 0) return [];
  const shown = listed(
    unknown.map((name) => quoted(name)),
    MOST_ROLES,
  );
  return [
    `database.trustedRoles or --trusted-role names ${shown}, but the server has no such role. Correct the name, which is case-sensitive, or remove it.`,
  ];
}
