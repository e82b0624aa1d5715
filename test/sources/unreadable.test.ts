import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { asOtherAccount, OTHER_ACCOUNT, testWithOtherAccount } from '../support/other-account.ts';

let folder: string;
const FIND = join(import.meta.dirname, '../../lib/sources/find-sources.ts');
const SHIP = join(import.meta.dirname, '../../lib/functions/ship-migrations.ts');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-unreadable-'));
  chownSync(folder, OTHER_ACCOUNT, OTHER_ACCOUNT);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

testWithOtherAccount(
  'a file and a folder without the right to read them are reported, and the rest is read',
  async () => {
    const migrations = join(folder, 'migrations');
    mkdirSync(join(migrations, 'closed'), { recursive: true });
    for (const name of ['001_a.sql', '002_closed.sql', '003_c.sql']) {
      writeFileSync(join(migrations, name), 'select 1;');
    }
    chmodSync(join(migrations, '002_closed.sql'), 0o000);
    chmodSync(join(migrations, 'closed'), 0o000);

    // The modules are loaded with the rights of root, because the other account cannot enter their folder.
    const result = (await asOtherAccount(
      folder,
      `const sources = await findSources(${JSON.stringify(migrations)});
     return {
       files: sources.files.map(({ file }) => file),
       skipped: sources.skipped.map(({ file, reason, isError }) => file + ': ' + reason + ' ' + isError),
       refusal: attempt(() => readMigrations(${JSON.stringify(migrations)})),
     };`,
      `import { findSources } from ${JSON.stringify(FIND)};
     import { readMigrations } from ${JSON.stringify(SHIP)};`,
    )) as { files: string[]; skipped: string[]; refusal: string };

    expect(result.files).toEqual([join(migrations, '001_a.sql'), join(migrations, '003_c.sql')]);
    const denied = 'it cannot be read: permission denied; give this user the right to read it';
    expect(result.skipped.toSorted()).toEqual([
      `${join(migrations, '002_closed.sql')}: ${denied} true`,
      `${join(migrations, 'closed')}: ${denied} true`,
    ]);
    expect(result.refusal).toContain(`${join(migrations, '002_closed.sql')}: ${denied}.`);
  },
);
