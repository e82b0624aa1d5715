import type { Condition } from '../shared/migration-manifest.ts';
import type { Client } from './client.ts';
import { resolvedSearchPath } from './search-path.ts';

/**
 * Whether the database has the objects on which PostgreSQL refuses a statement inside a transaction: partitioned tables and
 * indexes, and subscriptions with a replication slot.
 * @returns an answer for each condition; an object that does not exist is none
 */
export async function conditionsHold(client: Client, conditions: readonly Condition[]): Promise<boolean[]> {
  const { rows } = await client.query<{ holds: boolean }>(
    `select case when wanted.subscription is null
       then coalesce((select c.relkind in ('p', 'I')
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relname = wanted.name
           and n.nspname = any (case when wanted.schema is null then $4::text[] else array[wanted.schema] end)
         order by array_position($4::text[], n.nspname::text) limit 1), false)
       else exists (select from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid
         where d.datname = current_database() and s.subname = wanted.subscription and s.subslotname is not null)
       end as holds
     from rows from (unnest($1::text[]), unnest($2::text[]), unnest($3::text[])) with ordinality
       as wanted (schema, name, subscription, position)
     order by wanted.position`,
    [
      conditions.map((one) => (one.kind === 'partitioned' ? one.relation.schema : null)),
      conditions.map((one) => (one.kind === 'partitioned' ? one.relation.name : null)),
      conditions.map((one) => (one.kind === 'replication-slot' ? one.subscription : null)),
      await resolvedSearchPath(client),
    ],
  );
  return rows.map(({ holds }) => holds);
}
