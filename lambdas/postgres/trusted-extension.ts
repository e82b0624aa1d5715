import { type Client, trustedRolesOf } from './client.ts';
import { MARK } from './read-only.ts';
import { isTrustedRole } from './trusted-roles.ts';

/** An extension of the database whose functions and views may be used. */
export interface Extension {
  /** Schema of its functions and views. */
  readonly schema: string;
  readonly version: string;
}

/** Null: it is not installed in this database. `untrusted`: a role that is not trusted owns it, or its schema. */
export type FoundExtension =
  | Extension
  | { readonly untrusted: string; readonly schema: string }
  | { readonly available: boolean };

/**
 * Finds an extension. Its functions run with the rights of this session, so it is used only if a trusted role owns it and its
 * schema: the owner of the schema could rename it. The owner of the database counts as trusted here.
 */
export async function findExtension(client: Client, name: string): Promise<FoundExtension> {
  const trusted = (role: string) =>
    `(${isTrustedRole(role, '$2')}
      or ${role} = (select datdba from pg_database where datname = current_database())
      or ${role} = (select oid from pg_roles where rolname = 'pg_database_owner'))`;
  const { rows } = await client.query<{
    available: boolean;
    schema: string | null;
    version: string | null;
    trusted: boolean | null;
  }>(
    `${MARK}
     select exists (select from pg_available_extensions where name = $1::name) as available,
            n.nspname as schema,
            e.extversion as version,
            ${trusted('e.extowner')} and ${trusted('n.nspowner')} as trusted
       from (values (1)) one
       left join pg_extension e on e.extname = $1::name
       left join pg_namespace n on n.oid = e.extnamespace`,
    [name, trustedRolesOf(client)],
  );
  const [row] = rows;
  if (row?.schema == null || row.version === null) return { available: row?.available ?? false };
  if (row.trusted !== true) return { untrusted: name, schema: row.schema };
  return { schema: row.schema, version: row.version };
}

/** The schemas of those extensions that are installed and may be used, by their names. */
export async function readTrustedExtensions(
  client: Client,
  names: readonly string[],
): Promise<Map<string, string>> {
  const schemas = new Map<string, string>();
  for (const name of names) {
    const found = await findExtension(client, name);
    if ('version' in found) schemas.set(name, found.schema);
  }
  return schemas;
}
