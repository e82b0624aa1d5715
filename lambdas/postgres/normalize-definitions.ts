import pg from 'pg';
import { type CompiledIndex, tableId } from '../shared/registry.ts';
import * as z from '../shared/zod.ts';
import { type ComparingRole, readComparingRoles, runAsOwners } from './as-owner.ts';
import type { Client } from './client.ts';
import { splitTablespace } from './definition-text.ts';
import { groupAlike } from './group-alike.ts';
import { indexKey, quotedTable, quoteIdentifier, tableKey } from './identifiers.ts';
import { type Definition, definitionOf, FROM_INDEX, INDEX_ROW, indexRowSchema } from './index-definition.ts';
import { inSearchPath, resolvedSearchPath, schemasBeforePath } from './search-path.ts';
import { isConnectionError, isUndefined, LOCK_NOT_AVAILABLE, UNDEFINED_COLUMN } from './sqlstate.ts';
import { LOCK_TIMEOUT_SECONDS } from './unlocked-tables.ts';

/*
 * To compare a definition of the registry with one in the catalog, the server normalizes it: it creates the index on an empty
 * temporary copy of the table, in a transaction that is rolled back. That can run functions, so it is done as the owner of the
 * table: see as-owner.ts.
 *
 * One statement does it for all tables of an owner. Each copy is rolled back before the next one, so that thousands of them
 * need the locks of one. A copy is a partitioned table without partitions, because that needs no files.
 */

interface Normalized {
  /**
   * By `indexKey`. Null: the definition names a column or function that does not exist, so no index can match it. Entries that
   * cannot be normalized now are omitted.
   */
  definitions: Map<string, Definition | null>;
  /** Why the definitions for a table could not be normalized, and what changes that, by `tableKey`. */
  notComparable: Map<string, string>;
  /** Tables that another session has locked, by `tableKey`. */
  locked: Set<string>;
}

/** Entries that have the same normalized definition. The first one is tried. */
interface Group {
  readonly role: ComparingRole;
  readonly entries: readonly CompiledIndex[];
}

/**
 * Normalizes definitions of the registry.
 * @param entries none that uses code of an untrusted role: see untrusted-code.ts
 */
export async function normalizeDefinitions(
  client: Client,
  entries: readonly CompiledIndex[],
): Promise<Normalized> {
  const normalized: Normalized = { definitions: new Map(), notComparable: new Map(), locked: new Set() };
  if (entries.length === 0) return normalized;
  const roles = await readComparingRoles(client, entries);
  for (const [table, [entry]] of Map.groupBy(entries, tableKey)) {
    const obstacle = roles.get(table)?.obstacle ?? null;
    if (entry === undefined || obstacle === null) continue;
    const message = `The indexes of ${tableId(entry)} are not compared with the registry, only their names: ${obstacle}`;
    normalized.notComparable.set(table, message);
  }
  const comparable = entries.filter((entry) => roles.get(tableKey(entry))?.obstacle === null);
  let groups: readonly Group[] = (
    await groupAlike(client, comparable, (entry) => roles.get(tableKey(entry))?.name ?? '')
  ).flatMap((some) => {
    const role = some[0] && roles.get(tableKey(some[0]));
    return role === undefined ? [] : [{ role, entries: some }];
  });
  for (let tries = 1; tries <= MOST_TRIES && groups.length > 0; tries += 1) {
    groups = await normalizeGroups(client, groups, normalized);
  }
  return normalized;
}

/** How often alike entries are tried on another table, because the table of the first one is locked or was dropped. */
const MOST_TRIES = 3;

/** Owners whose definitions are tried in one round trip. Almost all databases have fewer. */
const OWNERS_PER_MESSAGE = 200;

/** @returns the groups that must be tried on the table of another entry */
async function normalizeGroups(
  client: Client,
  groups: readonly Group[],
  normalized: Normalized,
): Promise<Group[]> {
  const owners = [...Map.groupBy(groups, ({ role }) => role.name).values()];
  const again: Group[] = [];
  for (let at = 0; at < owners.length; at += OWNERS_PER_MESSAGE) {
    const some = owners.slice(at, at + OWNERS_PER_MESSAGE);
    const answers = await tryAsOwners(client, some);
    for (const [position, answersOfOwner] of answers.entries()) {
      // An owner can falsify the answers for its tables, and only those.
      const tried = some[position] ?? [];
      for (const answer of answersOfOwner) {
        const group = tried[answer.at];
        if (group === undefined) continue;
        if (answer.copied) addAnswer(group, answer, normalized.definitions);
        else again.push(...withoutTable(group, answer, normalized.locked));
      }
    }
  }
  return again;
}

function addAnswer(
  { role, entries }: Group,
  { found, sqlstate }: Answer,
  definitions: Normalized['definitions'],
): void {
  for (const entry of entries) {
    if (found === null) {
      // Other errors occur again, and are reported, when the index is built.
      if (isMissing(sqlstate ?? '', role)) definitions.set(indexKey(entry), null);
    } else if (found.canBeUnique || !entry.unique) {
      // In a build the deploy role creates the index in its tablespace. The owner of the table may not be allowed to.
      const tablespace = splitTablespace(entry.definition).tablespace ?? found.tablespace;
      const { canBeUnique: _, ...row } = found;
      definitions.set(indexKey(entry), definitionOf({ ...row, tablespace, unique: entry.unique }));
    }
  }
}

/** Whether a definition names a column or a function that does not exist. A role does not find what is in a schema that it may not use. */
function isMissing(sqlstate: string, { usesSearchPath }: ComparingRole): boolean {
  return isUndefined(sqlstate) && (usesSearchPath || sqlstate === UNDEFINED_COLUMN);
}

/** The group without the table that could not be copied. Empty: it has no other one. */
function withoutTable({ role, entries }: Group, { sqlstate }: Answer, locked: Set<string>): Group[] {
  const [first] = entries;
  if (first === undefined) return [];
  const table = tableKey(first);
  if (sqlstate === LOCK_NOT_AVAILABLE) locked.add(table);
  const others = entries.filter((entry) => tableKey(entry) !== table);
  return others.length === 0 ? [] : [{ role, entries: others }];
}

/** One definition on the copy of one table. */
const answerSchema = z.object({
  /** Position of the group. */
  at: z.number(),
  /** False: the table could not be copied. */
  copied: z.boolean(),
  /** The definition. Null: there was an error. */
  found: z.nullable(z.object({ ...indexRowSchema.shape, canBeUnique: z.boolean() })),
  sqlstate: z.nullable(z.string()),
});

type Answer = z.infer<typeof answerSchema>;

/** @returns the answers of each owner. Those that could not be read are omitted */
async function tryAsOwners(client: Client, owners: readonly (readonly Group[])[]): Promise<Answer[][]> {
  try {
    return await askOwners(client, owners);
  } catch (error) {
    if (isConnectionError(error)) throw error;
    // Something has changed meanwhile, such as a role. Only the definitions that this concerns stay unknown.
    if (owners.length === 1) return [];
    const answers: Answer[][] = [];
    for (const owner of owners) answers.push((await tryAsOwners(client, [owner]))[0] ?? []);
    return answers;
  }
}

async function askOwners(client: Client, owners: readonly (readonly Group[])[]): Promise<Answer[][]> {
  const path = await resolvedSearchPath(client);
  const work = owners.map((groups) => ({
    role: groups[0]?.role.name ?? '',
    call: `select ${FUNCTION}(${pg.escapeLiteral(JSON.stringify(tasksOf(groups, path)))}) as answer`,
  }));
  // The temporary table is possible although default_transaction_read_only is on, but not on a standby.
  await client.query('begin read write').catch(async () => await client.query('rollback; begin'));
  try {
    // The index of the copy is in the default tablespace, as the real one is without a TABLESPACE clause.
    await client.query(
      "select set_config('lock_timeout', $1, true), set_config('temp_tablespaces', '', true)",
      [`${LOCK_TIMEOUT_SECONDS}s`],
    );
    const answers = await runAsOwners<unknown>(client, DEFINITION, work);
    return answers.map((some) => some.map((answer) => answerSchema.parse(answer)));
  } finally {
    await client.query('rollback').catch(() => {});
  }
}

/** Name of the index on the copy. The copy has the table's own name, because a definition can qualify columns with it. */
const COPY_INDEX = 'pg_deploy_step_like';
const PARTITION_KEY = 'pg_deploy_step_partition_key';

/** One for each table. */
function tasksOf(groups: readonly Group[], path: readonly string[]): object[] {
  const tried = groups.flatMap(({ entries: [entry] }, at) => (entry === undefined ? [] : [{ at, entry }]));
  return [...Map.groupBy(tried, ({ entry }) => tableKey(entry)).values()].flatMap((some) => {
    const table = some[0]?.entry;
    if (table === undefined) return [];
    const copy = `pg_temp.${quoteIdentifier(table.table)}`;
    const like = `create temporary table ${copy} (like ${quotedTable(table)}`;
    return {
      copy: `${like}, ${PARTITION_KEY} pg_catalog.int4) partition by list (${PARTITION_KEY})`,
      // Another default_table_access_method may not support every kind of index.
      otherwise: `${like}) using heap on commit drop`,
      definitions: some.map(({ at, entry }) => ({
        at,
        // A unique index of a partitioned table must contain its key. Otherwise the text of a definition is the same.
        statement: inSearchPath(
          [...schemasBeforePath(entry), ...path],
          `create index ${COPY_INDEX} on ${copy} ${splitTablespace(entry.definition).definition}`,
        ),
      })),
    };
  });
}

const FUNCTION = 'pg_temp.pg_deploy_step_normalize';

/** A block with an exception is rolled back, so each ends with one. Only the first table that is locked is waited for. */
const DEFINITION = `${FUNCTION}(work pg_catalog.jsonb) returns setof pg_catalog.jsonb
  language plpgsql security definer as $run$
    declare
      task pg_catalog.jsonb;
      one pg_catalog.jsonb;
      answer pg_catalog.jsonb;
      copied pg_catalog.bool;
      done constant pg_catalog.text := 'rolled back';
    begin
      for task in select value from pg_catalog.jsonb_array_elements(work) loop
        copied := false;
        begin
          begin
            execute task ->> 'copy';
          exception
            when lock_not_available then raise;
            when others then execute task ->> 'otherwise';
          end;
          copied := true;
          for one in select value from pg_catalog.jsonb_array_elements(task -> 'definitions') loop
            answer := null;
            begin
              execute one ->> 'statement';
              select pg_catalog.to_jsonb(definition) into answer
                from (select ${INDEX_ROW}, pg_indexam_has_property(c.relam, 'can_unique') as "canBeUnique"
                      ${FROM_INDEX}
                       where i.indexrelid = pg_catalog.to_regclass('pg_temp.${COPY_INDEX}')) definition;
              raise exception using message = done;
            exception when others then
              return next pg_catalog.jsonb_build_object(
                'at', one -> 'at', 'copied', true, 'found', answer, 'sqlstate', sqlstate);
            end;
          end loop;
          raise exception using message = done;
        exception when others then
          if not copied then
            return query
              select pg_catalog.jsonb_build_object('at', value -> 'at', 'copied', false, 'found', null, 'sqlstate', sqlstate)
                from pg_catalog.jsonb_array_elements(task -> 'definitions');
            if sqlstate = '${LOCK_NOT_AVAILABLE}' then
              perform pg_catalog.set_config('lock_timeout', '1ms', true);
            end if;
          end if;
        end;
      end loop;
    end $run$`;
