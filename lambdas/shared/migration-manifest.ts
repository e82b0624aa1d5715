import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from './zod.ts';

/** The file beside the code of preflight that lists the migrations which synth has checked. */
export const MANIFEST_FILE = 'migration-manifest.json';

/** By the name of the migration. */
const manifestSchema = z.record(
  z.string(),
  z.strictObject({
    /** SHA-256 hash of the file, in hexadecimal digits. */
    sha256: z.string(),
    /** Why the file cannot be applied: `LINE:COLUMN: message`. Empty: it can. */
    problems: z.array(z.string()),
    /** The same, if the database has such an object. */
    inDatabase: z.array(
      z.strictObject({
        problem: z.string(),
        condition: z.union([
          /** A partitioned table, or its index. Without a schema, it is looked up in the search path. */
          z.strictObject({
            kind: z.literal('partitioned'),
            relation: z.strictObject({ schema: z.nullable(z.string()), name: z.string() }),
          }),
          /** A subscription that has a replication slot. */
          z.strictObject({ kind: z.literal('replication-slot'), subscription: z.string() }),
        ]),
      }),
    ),
  }),
);
export type MigrationManifest = z.infer<typeof manifestSchema>;

/** Reads the manifest that was shipped beside the function's code. */
export function readManifest(functionDirectory: string): MigrationManifest {
  return manifestSchema.parse(JSON.parse(readFileSync(join(functionDirectory, MANIFEST_FILE), 'utf8')));
}

/** What decides in the database whether a file can be applied. */
export type Condition = MigrationManifest[string]['inDatabase'][number]['condition'];

/** The hash of a file in the manifest. @param content text in UTF-8, or its bytes */
export function hashOfMigration(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
