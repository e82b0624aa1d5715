import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DEVELOPMENT_LICENCES, LICENCES } from '../../dependencies/accepted.ts';
import { isAllowed, licenceList, readLicenceList } from '../../dependencies/licences.ts';
import { lockedPackages } from '../../dependencies/lock-file.ts';
import { bundleCode } from '../../lib/functions/bundle-code.ts';
import { bundleFunctions } from '../../lib/functions/bundle-functions.ts';
import { FUNCTIONS, LICENCES_FILE } from '../../lib/functions/function-names.ts';

test.each([
  ['MIT', true],
  ['(MIT OR GPL-3.0-or-later)', true],
  ['GPL-3.0-or-later OR MIT', true],
  ['MIT AND ISC', true],
  ['MIT AND GPL-3.0-or-later', false],
  ['(MIT AND GPL-3.0-or-later) OR GPL-2.0', false],
  ['GPL-3.0-or-later', false],
  ['MPL-2.0', false],
  ['SEE LICENSE IN LICENSE', false],
  ['UNLICENSED', false],
  ['', false],
])('the licence "%s" is allowed: %s', (expression, expected) => {
  expect(isAllowed(expression, LICENCES)).toBe(expected);
});

test('every package has an allowed licence', () => {
  const refused = lockedPackages().filter(
    ({ licence, dev }) => !isAllowed(licence, dev ? DEVELOPMENT_LICENCES : LICENCES),
  );
  expect(refused.map(({ path, licence }) => `${path}: ${licence}`)).toEqual([]);
});

test('THIRD-PARTY.md is up to date: npm run licences', () => {
  expect(readLicenceList()).toBe(licenceList());
});

test('every function contains the licences of the packages in its code', () => {
  const outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-licences-'));
  try {
    const folders = bundleFunctions({ outdir, registry: [] as never, migrations: null, certificates: '' });
    const { packages } = bundleCode();

    expect(packages.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['node-pg-migrate', 'pg', 'pg-types', 'zod']),
    );
    for (const name of FUNCTIONS) {
      const licences = readFileSync(join(folders[name], LICENCES_FILE), 'utf8');
      for (const { name: bundled, version, licence, text } of packages) {
        expect(licences).toContain(`${bundled} ${version} (${licence})\n\n${text}\n`);
      }
    }
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
});

test('the text of a licence names the holder of the copyright, unless the licence requires no text', () => {
  const without = bundleCode().packages.filter(({ text }) => !/copyright|blue oak/i.test(text));

  expect(without.filter(({ licence }) => licence !== 'MIT-0').map(({ name }) => name)).toEqual([]);
});
