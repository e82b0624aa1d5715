import { writeFileSync } from 'node:fs';
import type { CommandFolder } from '../support/command.ts';

/** A finding as the JSON of the command has it. */
export interface JsonFinding {
  kind: string;
  schema: string | null;
  table: string | null;
  index: string | null;
  columns: string[];
  evidence: string;
  fix: string;
  confidence: 'high' | 'medium' | 'unknown';
  entry: { name: string; sql: string; description: string } | null;
  restore: string | null;
}

export interface JsonDiagnosis {
  tenantColumn: string | null;
  failing: number;
  findings: JsonFinding[];
  unknown: { kinds: string[]; reason: string; fix: string | null }[];
  tablesMissing: string[];
}

/** Runs the command as a user does. */
export async function examine(
  place: CommandFolder,
  url: string,
  ...args: string[]
): Promise<JsonDiagnosis & { exitCode: number | null }> {
  const { exitCode, stdout, stderr } = await place.run('doctor', '--database-url', url, '--json', ...args);
  if (stdout === '') throw new Error(`doctor printed no result: ${stderr}`);
  return { exitCode, ...(JSON.parse(stdout) as JsonDiagnosis) };
}

/** The flags for a registry with some entries. */
export function withRegistry(place: CommandFolder, entries: unknown): string[] {
  writeFileSync(place.file('indexes.json'), JSON.stringify(entries));
  return ['--indexes', 'indexes.json'];
}

/** Each finding in one line. */
export function inLines(findings: readonly JsonFinding[]): string[] {
  return findings.map(({ kind, schema, table, index, columns, confidence }) =>
    [
      confidence,
      kind,
      ...(table === null ? [] : [`${schema}.${table}`]),
      ...(index === null ? [] : [index]),
      `(${columns})`,
    ].join(' '),
  );
}
