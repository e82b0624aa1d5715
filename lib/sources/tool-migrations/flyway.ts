import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ToolMigration } from '../../../lambdas/shared/tool-migrations.ts';
import { filesBelow } from '../folder-entries.ts';

/** V1.2__words.sql and R__words.sql, and the same in Java and Kotlin. */
const OWN_FILE = /^(?:V(\d+(?:[._]\d+)*)|R)__(.*)\.(sql|java|kt)$/;

/** Versioned migrations by their version, repeatable ones by their description and checksum. */
export function flywayMigrations(folder: string): ToolMigration[] {
  return filesBelow(folder).files.flatMap((file): ToolMigration[] => {
    const [name, version, words = '', extension] = OWN_FILE.exec(basename(file)) ?? [];
    if (name === undefined) return [];
    if (version !== undefined) return [{ name, key: version }];
    const checksum = extension === 'sql' ? checksumOf(readFileSync(file, 'utf8')) : null;
    return [{ name, key: words.replaceAll('_', ' '), checksum }];
  });
}

/**
 * Flyway's checksum: CRC-32 of the lines without their ends, as a signed number. Null: the text has placeholders, which Flyway
 * replaces before.
 */
function checksumOf(text: string): number | null {
  if (text.includes('${')) return null;
  return crc32(text.replace(/^\uFEFF/, '').replaceAll(/[\r\n]/g, '')) | 0;
}
