import { type CompiledIndex, indexId } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { splitTablespace } from './definition-text.ts';
import { type Named, qualified, quotedTable, quoteIdentifier } from './identifiers.ts';
import type { Definition } from './index-definition.ts';
import { type IndexProperties, joinObstacles, type Obstacle } from './index-properties.ts';
import { whyNoReplicaIdentity } from './replica-identity.ts';

/*
 * A drifted index is replaced by another one, which must be everything that the old one was: this file decides whether it
 * can be, and carries the properties over.
 */

/**
 * The definition with which the replacement is built: the registry's, with the storage options and the tablespace of the old
 * index where the registry names none. Some options, such as pages_per_range of BRIN, only have an effect on a build.
 */
export function definitionOfReplacement(
  entry: CompiledIndex,
  wanted: Definition,
  old: IndexProperties,
): string {
  const options = [...wanted.options, ...optionsToKeep(old, wanted)].map(optionAssignment);
  // The normalized text has no TABLESPACE clause. Without one, the server would use default_tablespace.
  const tablespace = namesTablespace(entry) ? wanted.tablespace : old.tablespace;
  return (
    wanted.structure +
    (options.length === 0 ? '' : ` WITH (${options.join(', ')})`) +
    ` TABLESPACE ${quoteIdentifier(tablespace)}` +
    wanted.predicate
  );
}

function namesTablespace({ definition }: CompiledIndex): boolean {
  return splitTablespace(definition).tablespace !== null;
}

/** Storage options of the old index that the new one does not have. Those of another access method mean something else. */
function optionsToKeep(
  old: Pick<IndexProperties, 'method' | 'options'>,
  { method, options }: Pick<Definition, 'method' | 'options'>,
): string[] {
  if (old.method !== method) return [];
  const named = new Set(options.map(nameOfOption));
  return old.options.filter((option) => !named.has(nameOfOption(option)));
}

function nameOfOption(option: string): string {
  return option.slice(0, option.indexOf('='));
}

function optionAssignment(option: string): string {
  const value = option.slice(option.indexOf('=') + 1);
  return `${quoteIdentifier(nameOfOption(option))} = '${value.replaceAll("'", "''")}'`;
}

/** Whether an index has properties that a new index would not have. @param wanted undefined: unknown */
export function hasPropertiesToKeep(
  entry: CompiledIndex,
  wanted: Definition | undefined,
  old: IndexProperties,
): boolean {
  return (
    old.comment !== null ||
    old.extensions.length > 0 ||
    old.replicaIdentity ||
    old.clustered ||
    old.expressions.some((one) => one.target !== null) ||
    (wanted !== undefined && optionsToKeep(old, wanted).length > 0) ||
    !(old.inDefaultTablespace || namesTablespace(entry))
  );
}

/** Why an index with this definition cannot replace the old one. Null: it can. */
export async function whyNotReplaceable(
  client: Client,
  entry: CompiledIndex,
  wanted: Definition,
  old: IndexProperties,
): Promise<Obstacle | null> {
  const obstacles = [...old.obstacles];
  const replicaIdentity = old.replicaIdentity ? await whyNoReplicaIdentity(client, old, wanted) : null;
  if (replicaIdentity !== null) {
    obstacles.push({
      reason: `is the replica identity of its table, and the index of the registry cannot be that: ${replicaIdentity}`,
      fix: `choose another one first (ALTER TABLE ${quotedTable(old)} REPLICA IDENTITY …)`,
    });
  }
  const cluster = old.clustered ? whyNoCluster(wanted) : null;
  if (cluster !== null) {
    obstacles.push({
      reason: `is the index on which its table is clustered, and the index of the registry cannot be that: ${cluster}`,
      fix: `remove the mark first (ALTER TABLE ${quotedTable(old)} SET WITHOUT CLUSTER)`,
    });
  }
  if (!old.tablespaceAllowed && !namesTablespace(entry)) {
    obstacles.push({
      reason: `is in tablespace ${old.tablespace}, in which this role may not create its replacement`,
      fix: `run GRANT CREATE ON TABLESPACE ${quoteIdentifier(old.tablespace)} to the role of the deploy`,
    });
  }
  return joinObstacles(obstacles);
}

/** Why an invalid index cannot be dropped and built again. */
export function describeUnrepairable(index: CompiledIndex, { reason, fix }: Obstacle): string {
  return `Index ${indexId(index)} is invalid and cannot be dropped and built again, because it ${reason}. Rebuild it with REINDEX INDEX CONCURRENTLY ${qualified(index)}; or ${fix}.`;
}

function whyNoCluster({ clusterable, method, predicate }: Definition): string | null {
  if (!clusterable) return `CLUSTER does not support the access method ${method}`;
  return predicate === '' ? null : 'it is partial';
}

/**
 * Gives an index the settings that another one has and it has not: storage options, comment, statistics targets of
 * expressions and extensions that it depends on. Both must be on the same table, whose lock the caller holds.
 */
export async function carrySettings(
  client: Client,
  from: IndexProperties,
  to: IndexProperties,
): Promise<void> {
  const index = qualified(to);
  for (const option of optionsToKeep(from, to)) {
    await client.query(`alter index ${index} set (${optionAssignment(option)})`);
  }
  if (from.comment !== null && from.comment !== to.comment) await setComment(client, to, from.comment);
  for (const { column, expression, target } of to.expressions) {
    const carried = from.expressions.find((one) => one.expression === expression)?.target ?? target;
    if (carried !== null && carried !== target)
      await client.query(`alter index ${index} alter column ${column} set statistics ${carried}`);
  }
  for (const extension of from.extensions.filter((one) => !to.extensions.includes(one))) {
    await client.query(`alter index ${index} depends on extension ${quoteIdentifier(extension)}`);
  }
}

/** Gives an index everything that another one has beside its definition. The caller holds the table's lock. */
export async function carryOver(client: Client, from: IndexProperties, to: IndexProperties): Promise<void> {
  await carrySettings(client, from, to);
  await moveMarks(client, from, to);
}

/**
 * Moves the marks that only one index of a table can have: replica identity and CLUSTER.
 * @param to name of the index that gets them
 */
export async function moveMarks(client: Client, from: IndexProperties, to: Named): Promise<void> {
  const name = quoteIdentifier(to.name);
  if (from.replicaIdentity)
    await client.query(`alter table only ${quotedTable(from)} replica identity using index ${name}`);
  // ALTER TABLE supports materialized views too.
  if (from.clustered) await client.query(`alter table only ${quotedTable(from)} cluster on ${name}`);
}

/** Renames an index. */
export async function rename(client: Client, index: Named, newName: string): Promise<void> {
  await client.query(`alter index ${qualified(index)} rename to ${quoteIdentifier(newName)}`);
}

/** COMMENT takes no parameters, so the server quotes the text. */
async function setComment(client: Client, index: Named, comment: string): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    "select format('comment on index %I.%I is %L', $1::text, $2::text, $3::text) as statement",
    [index.schema, index.name, comment],
  );
  if (rows[0] !== undefined) await client.query(rows[0].statement);
}
