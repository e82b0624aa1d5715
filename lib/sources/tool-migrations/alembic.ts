import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { ToolMigration } from '../../../lambdas/shared/tool-migrations.ts';
import { filesBelow } from '../folder-entries.ts';
import { assignedText } from './python.ts';

/** The scripts with the revisions that come before them. */
export function alembicMigrations(folder: string): ToolMigration[] {
  return filesBelow(folder).files.flatMap((file) => {
    if (!file.endsWith('.py')) return [];
    const text = readFileSync(file, 'utf8');
    const [revision] = stringsIn(assignedText(text, 'revision'));
    if (revision === undefined) return [];
    const before = ['down_revision', 'depends_on'].flatMap((name) => stringsIn(assignedText(text, name)));
    return [{ name: basename(file, '.py'), key: revision, keys: before }];
  });
}

function stringsIn(code: string): string[] {
  return [...code.matchAll(/'([^'\n]*)'|"([^"\n]*)"/g)].map(([, single, double = '']) => single ?? double);
}
