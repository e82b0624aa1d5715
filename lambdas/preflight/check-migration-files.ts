import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '../postgres/client.ts';
import { conditionsHold } from '../postgres/refusal-conditions.ts';
import { sqlstateOf, UNTRANSLATABLE_CHARACTER } from '../postgres/sqlstate.ts';
import { untranslatableAt } from '../postgres/untranslatable-character.ts';
import { Refused } from '../shared/errors.ts';
import { hashOfMigration, type MigrationManifest } from '../shared/migration-manifest.ts';
import type { ShippedStatement, ShippedStatements } from '../shared/migration-statements.ts';
import { linesBefore } from '../shared/text.ts';

/** The migrations beside the code of this function. */
export interface ShippedMigrations {
  /** Folder with the SQL files. */
  readonly directory: string;
  /** The files that synth has checked. */
  readonly manifest: MigrationManifest;
  /** The statements of each file, in order. */
  readonly statements: ShippedStatements;
}

const MAX_PROBLEMS = 20;

/**
 * Refuses pending files that cannot be applied: files that end the transaction or are not UTF-8, files that synth has not
 * checked, statements that PostgreSQL refuses inside a transaction, and characters that the encoding of the database does not have.
 * @throws Refused with the file, and the line where it is known
 */
export async function checkMigrationFiles(
  client: Client,
  shipped: ShippedMigrations,
  pending: readonly string[],
): Promise<void> {
  const problems: string[] = [];
  for (const name of pending) problems.push(...(await fileProblems(shipped, name)));
  problems.push(...(await problemsInDatabase(client, shipped, pending)));
  if (problems.length === 0) problems.push(...(await encodingProblems(client, shipped, pending)));
  if (problems.length === 0) return;
  const more = problems.length > MAX_PROBLEMS ? [`… and ${problems.length - MAX_PROBLEMS} more`] : [];
  throw new Refused(
    `Pending migrations cannot be applied. ${[...problems.slice(0, MAX_PROBLEMS), ...more].join(' ')}`,
  );
}

/** Synth ships the manifest with the files, so a file that differs came into the bundle in another way. */
async function fileProblems({ directory, manifest }: ShippedMigrations, name: string): Promise<string[]> {
  const entry = manifest[name];
  if (entry === undefined) {
    return [
      `${name}.sql was not checked by synth: put it into the folder of the migrations, and run cdk deploy.`,
    ];
  }
  const content = await readFile(join(directory, `${name}.sql`));
  if (hashOfMigration(content) !== entry.sha256)
    return [`${name}.sql has changed since synth checked it: run cdk deploy.`];
  return entry.problems.map((problem) => `${name}.sql:${problem}`);
}

/** The statements that PostgreSQL refuses in a transaction only on some objects, which this database has. */
async function problemsInDatabase(
  client: Client,
  { manifest }: ShippedMigrations,
  pending: readonly string[],
): Promise<string[]> {
  const found = pending.flatMap((name) =>
    (manifest[name]?.inDatabase ?? []).map(({ problem, condition }) => ({
      text: `${name}.sql:${problem}`,
      condition,
    })),
  );
  if (found.length === 0) return [];
  const hold = await conditionsHold(
    client,
    found.map(({ condition }) => condition),
  );
  return found.filter((_one, at) => hold[at]).map(({ text }) => text);
}

/** Encodings in which every character of UTF-8 can be stored, or every byte. */
const ANY_CHARACTER = ['UTF8', 'SQL_ASCII'];

async function encodingProblems(
  client: Client,
  { statements }: ShippedMigrations,
  pending: readonly string[],
): Promise<string[]> {
  const { rows } = await client.query<{ encoding: string }>('select getdatabaseencoding()::text as encoding');
  const encoding = rows[0]?.encoding ?? '';
  if (ANY_CHARACTER.includes(encoding)) return [];
  const problems: string[] = [];
  for (const name of pending) {
    for (const statement of (statements[name] ?? []).filter(({ sql }) => !isAscii(sql))) {
      const line = await untranslatableLine(client, statement);
      if (line === null) continue;
      problems.push(
        `${name}.sql, line ${line}: a character does not exist in ${encoding}, the encoding of this database. Replace it.`,
      );
    }
  }
  return problems;
}

/** The line of a character that the server cannot convert. Null: there is none. */
async function untranslatableLine(client: Client, { sql, line }: ShippedStatement): Promise<number | null> {
  try {
    await client.query("select convert($1::bytea, 'UTF8', getdatabaseencoding()) is null", [
      Buffer.from(sql),
    ]);
    return null;
  } catch (error) {
    if (sqlstateOf(error) !== UNTRANSLATABLE_CHARACTER) throw error;
    return line + linesBefore(sql, untranslatableAt(sql, error) ?? 0);
  }
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
