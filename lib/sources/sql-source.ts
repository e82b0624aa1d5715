import { LinesError } from '../../lambdas/shared/errors.ts';
import type { EncodingProblem } from '../sql/decode-utf8.ts';
import type { OtherDialect } from './dialects.ts';

/** The values of `--from`. `plain`: SQL files in the order of their names, including dumps of pg_dump. */
export const TOOLS = ['prisma', 'drizzle', 'rails', 'flyway', 'node-pg-migrate', 'plain'] as const;
export type Tool = (typeof TOOLS)[number];

/** One text of SQL, such as a migration. */
export interface SqlSource {
  /** The path that the user gave, or a path below it. */
  readonly file: string;
  readonly text: string;
  /** Whether the text is that of the file, so that its line numbers are valid. */
  readonly hasLines: boolean;
  /**
   * Where the text comes from, if it is not that of the file: values replace placeholders, or code generates it.
   * @default the text is that of the file, or `hasLines` is false
   */
  readonly origin?: SqlOrigin | undefined;
  /** Why the content of the file is not text in UTF-8; `text` is empty then. Null or undefined: it is. */
  readonly encodingProblem?: EncodingProblem | null;
}

/** The text of a file, and which part of it makes a part of the SQL. */
export interface SqlOrigin {
  /** The content of the file, without a byte order mark. */
  readonly text: string;
  /** Converts an offset in the SQL to one in the file, both in UTF-16 units. */
  readonly offsetOf: (at: number) => number;
}

/** A file or a statement that is not read or not imported, and why. */
export interface Skipped {
  readonly file: string;
  /** Counted from 1. Null: the whole file, or an unknown line. */
  readonly line: number | null;
  /** What is skipped: `index idx_deals_tenant`. */
  readonly what: string;
  readonly reason: string;
  /** The file is code, and was not run (`--no-code`). @default false */
  readonly isCode?: boolean;
  /** The file cannot be read, or its tool would not apply it as it is: `lint` fails. @default false */
  readonly isError?: boolean;
}

/** Files in the order in which they are applied, and what is not read. */
export interface SourceFiles {
  readonly files: readonly SqlSource[];
  readonly skipped: readonly Skipped[];
}

/** The SQL of one path, in the order in which its tool runs it. */
export interface Sources extends SourceFiles {
  readonly tool: Tool;
  /** The folder whose migrations these are, or the file. */
  readonly folder: string;
  /** The files beside them that are for other databases, and are not read. */
  readonly dialects: readonly OtherDialect[];
}

/** Values of placeholders by their names. */
export type PlaceholderValues = ReadonlyMap<string, string>;

/** How to read the migrations of a path. */
export interface SourceReading {
  /** The tool that runs them. Undefined: detected from the files. */
  readonly from?: Tool | undefined;
  /**
   * False: migrations that are code are not run, so they are skipped.
   * @default true
   */
  readonly runCode?: boolean;
  /**
   * What to read of a project that has its migrations and the schema that they create (Rails).
   * @default schema
   */
  readonly prefer?: 'schema' | 'migrations' | undefined;
  /**
   * The folder that the runner sql applies: its own files are the migrations, whatever is in its folders.
   * @default none is configured
   */
  readonly appliedFolder?: string | null | undefined;
  /** Values of placeholders, by name. @default none */
  readonly placeholders?: PlaceholderValues | undefined;
}

/** A path or a database has nothing to read; the message says what was expected. */
export class NoSourceError extends LinesError {
  override readonly name = 'NoSourceError';
}

/** There are no migrations at all. */
export class NoMigrations extends NoSourceError {}
