/**
 * One index of the registry, as its authors write it. The registry is the single source of truth for performance
 * indexes; migrations hold only those that constraints bring.
 */
export interface IndexEntry {
  /**
   * Name of the index as the catalog has it: unquoted, at most 63 bytes, unique within the schema of its table.
   * Executions ask for an index by this name, with `SCHEMA.` before it where the schema is not `public`.
   */
  readonly name: string;
  /**
   * One `create [unique] index concurrently if not exists NAME on [SCHEMA.]TABLE …` statement. A table without a schema
   * is in `public`. A quoted table name keeps its case; parts of a partitioned table are found by the builder.
   */
  readonly sql: string;
  /**
   * The application does not work without it: it keeps data whole (unique) or authentication looks things up by it.
   * A critical index that cannot be built fails the deploy and leaves the services stopped.
   * @default false
   */
  readonly critical?: boolean;
  /** What the index is for, in a sentence: it stands in the log, the report and the alert. */
  readonly description: string;
  /**
   * Queries that should use this index: files below `database/queries`, without `.sql`.
   * @default []
   */
  readonly serves?: readonly string[];
  /**
   * What becomes of an index that is there under this name with another definition. `report`: it stays and a warning
   * tells. `rebuild`: the new one is built beside it and takes its place, never a moment without an index.
   * @default 'report'
   */
  readonly onDrift?: 'report' | 'rebuild';
  /**
   * Warnings of `lint` that are meant so: the rule's name, and the reason in a sentence. Errors cannot be accepted, and
   * an accepted warning that is gone is told, so that no reason outlives its cause.
   * @default {}
   */
  readonly accept?: Readonly<Record<string, string>>;
}

/**
 * Gives a registry its types: `export default defineIndexes([{ name, sql, description }, …])`.
 * It returns what it was given; statements are checked when the registry is compiled.
 */
export function defineIndexes(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  return entries;
}
