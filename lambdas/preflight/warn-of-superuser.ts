import type { Client } from '../postgres/client.ts';
import { leastPrivilegeScript, readLeastPrivilege } from '../postgres/least-privilege.ts';
import type { CompiledIndex } from '../shared/registry.ts';
import { withText } from '../shared/text.ts';
import { quoted } from '../shared/visible-text.ts';

/**
 * Warns of a deploy role that is a superuser or can become one.
 * @param migrates the deploy runs SQL migrations
 * @returns a headline, and the SQL that creates a role for the deploy. Null: the role is not a superuser
 */
export async function warnOfSuperuser(
  client: Client,
  tables: readonly CompiledIndex[],
  migrates: boolean,
): Promise<string | null> {
  const names = await readLeastPrivilege(client, { tables, migrates });
  if (names === null) return null;
  const { rows } = await client.query<{ role: string }>('select current_user as role');
  const is = names.superusers.length === 0 ? 'is a superuser' : 'can become a superuser';
  return withText(
    `The deploy role ${quoted(rows[0]?.role ?? '')} ${is}, but a deploy needs far fewer rights. Whatever code another role can make it run ` +
      'has all rights on the server. The report and --mode plan contain the SQL that creates a role for the deploy.',
    leastPrivilegeScript(names),
  );
}
