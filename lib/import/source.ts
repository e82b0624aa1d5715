/** What `--from` names. `plain`: SQL in the order of the files' names, dumps of pg_dump included. */
export const TOOLS = ['prisma', 'drizzle', 'rails', 'flyway', 'node-pg-migrate', 'plain'] as const;
export type Tool = (typeof TOOLS)[number];

/** A text of SQL whose statements come one after the other. */
export interface SqlSource {
  /** As the reader knows it: below the path that was given. */
  readonly file: string;
  readonly text: string;
  /** Whether the text is the file's own, so that its lines are the file's. */
  readonly hasLines: boolean;
}

/** What does not become an entry, and why. */
export interface NotTaken {
  readonly file: string;
  /** Counted from 1. Null: the whole file, or a place that nobody knows. */
  readonly line: number | null;
  /** The index, or what else it is: `index idx_deals_tenant`. */
  readonly what: string;
  readonly reason: string;
}

/** The files of one path, in the order in which their tool runs them. */
export interface Sources {
  readonly tool: Tool;
  readonly files: readonly SqlSource[];
  readonly notTaken: readonly NotTaken[];
}

/** A path holds nothing that could be read; the message says what was looked for. */
export class NoSourceError extends Error {
  override readonly name = 'NoSourceError';
}
