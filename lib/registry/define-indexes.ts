/**
 * One index of the registry, as its authors write it. The registry is the single source of truth for performance indexes;
 * migrations create only the indexes of constraints.
 */
export interface IndexEntry {
  /**
   * Name of the index as in the catalog: unquoted, at most 63 bytes, unique in the schema of its table. The input of an
   * execution uses this name, or `SCHEMA.NAME` if the schema is not `public`.
   */
  readonly name: string;
  /**
   * One `create [unique] index concurrently if not exists NAME on [SCHEMA.]TABLE …` statement. A table without a schema is
   * in `public`. For a partitioned table the index is built on each partition.
   */
  readonly sql: string;
  /**
   * True if the application does not work without the index: it protects data integrity (unique), or authentication uses it.
   * If a critical index cannot be built, the deploy fails and the services are left stopped, deliberately.
   * @default false
   */
  readonly critical?: boolean;
  /** The purpose of the index in a sentence, for the log, the report and the alert. */
  readonly description: string;
  /**
   * Queries that should use this index: names of files in the folder `queries` beside the registry, without `.sql`, or texts of
   * queries. The command `explain` plans them.
   * @default []
   */
  readonly serves?: readonly string[];
  /**
   * What to do if an index with this name has another definition. `report`: it stays, with a warning. `rebuild`: the new
   * index is built next to it and then replaces it, so that queries always have one of the two. It keeps what the old one
   * had: replica identity, CLUSTER mark, comment, statistics targets, tablespace, and storage options that `sql` does not
   * name. An index that something else depends on, such as a foreign key, stays, with a warning that says what.
   * @default 'report'
   */
  readonly onDrift?: 'report' | 'rebuild';
  /**
   * A schema per tenant: the index is built in every schema that matches and has the table. Names of schemas, in which * stands
   * for any text and ? for one character; a pattern after ! excludes schemas. `sql` must not name a schema. Every deploy reads
   * the schemas again, so that new tenants get the index. An empty list: the search path decides, also if the registry has
   * `schemas`.
   * @default those of the registry
   */
  readonly schemas?: readonly string[];
  /**
   * The constraint that the index enforces. The deploy builds the index concurrently, and then adds the constraint with
   * ALTER TABLE … ADD CONSTRAINT … USING INDEX, which renames the index to `constraint.name` and locks the table for a moment.
   * `sql` must create a unique B-tree index on columns, without expressions, a WHERE clause or a sort order. The columns of a
   * primary key must be NOT NULL already. PostgreSQL does not support this on a partitioned table.
   * @default the index enforces no constraint
   */
  readonly constraint?: EntryConstraint;
  /**
   * The index is not needed any more. The deploy drops it concurrently, once no query has scanned it for `builds.retiredAfterDays`,
   * and the report has the statement that brings it back. To remove an entry from the registry drops nothing.
   * @default the index is built and kept
   */
  readonly retired?: RetiredIndex;
  /**
   * Warnings of `lint` that you accept: the rule's name, and the reason in a sentence. Errors cannot be accepted. `lint`
   * reports an accepted warning that no longer occurs, so that you can remove it.
   * @default {}
   */
  readonly accept?: Readonly<Record<string, string>>;
}

/** The constraint of an entry. */
export interface EntryConstraint {
  /** Name of the constraint as in the catalog: unquoted, at most 63 bytes, unique among the relations of the table's schema. */
  readonly name: string;
  readonly type: 'unique' | 'primary key';
}

/** Why and since when an index is not needed any more. */
export interface RetiredIndex {
  /** The date from which on a deploy may drop it, as YYYY-MM-DD. */
  readonly since: string;
  /** Why, in a sentence, for the log. */
  readonly reason: string;
  /**
   * Drop it also if queries may still use it: without a grace period, with standbys, and if it is unique. What a constraint, a foreign
   * key or the replica identity needs stays in any case.
   * @default false
   */
  readonly force?: boolean;
}

/** What applies to all entries of a registry. */
export interface RegistryOptions {
  /**
   * `schemas` of each entry that has none of its own and whose `sql` names no schema.
   * @default none: the search path decides
   */
  readonly schemas?: readonly string[];
}

/** A registry with options. A JSON file can contain the same object. */
export interface Registry extends RegistryOptions {
  readonly indexes: readonly IndexEntry[];
}

/**
 * Gives a registry its types: `export default defineIndexes([{ name, sql, description }, …])`, or with options
 * `export default defineIndexes([…], { schemas: ['tenant_*'] })`. The statements are checked when the registry is compiled.
 */
export function defineIndexes(entries: readonly IndexEntry[]): readonly IndexEntry[];
export function defineIndexes(entries: readonly IndexEntry[], options: RegistryOptions): Registry;
export function defineIndexes(
  entries: readonly IndexEntry[],
  options?: RegistryOptions,
): readonly IndexEntry[] | Registry {
  return options === undefined ? entries : { ...options, indexes: entries };
}
