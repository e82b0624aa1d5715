import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import type { ToolMigration } from '../../../lambdas/shared/tool-migrations.ts';
import { filesBelow } from '../folder-entries.ts';
import { assignedText } from './python.ts';

/** The migrations of the apps in a project. Those of installed packages are not in it. */
export function djangoMigrations(folder: string): ToolMigration[] {
  const { files } = filesBelow(folder);
  const own = files.filter((file) => isMigration(file) && !file.split(sep).includes('site-packages'));
  const labels = new Map<string, string>();
  return own.flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    if (!/^class\s+Migration\b/m.test(text)) return [];
    const app = dirname(dirname(file));
    const label = labels.get(app) ?? labelOf(app);
    labels.set(app, label);
    const key = `${label}.${basename(file, '.py')}`;
    const replaced = [...assignedText(text, 'replaces').matchAll(/\(\s*['"](\w+)['"]\s*,\s*['"](\w+)['"]/g)];
    return [
      {
        ...{ name: key, key },
        ...(replaced.length > 0 && { keys: replaced.map(([, by, name]) => `${by}.${name}`) }),
      },
    ];
  });
}

/** As Django's loader: modules of the package `migrations` that do not begin with _ or ~. */
function isMigration(file: string): boolean {
  return basename(dirname(file)) === 'migrations' && /^[^_~].*\.py$/.test(basename(file));
}

/** The label of an app: its configuration can have another one than its folder. */
function labelOf(app: string): string {
  const configuration = join(app, 'apps.py');
  const text = existsSync(configuration) ? readFileSync(configuration, 'utf8') : '';
  return /['"](\w+)['"]/.exec(assignedText(text, 'label'))?.[1] ?? basename(app);
}
