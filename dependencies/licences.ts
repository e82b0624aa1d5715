import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleCode } from '../lib/functions/bundle-code.ts';
import { type LockedPackage, lockedPackages, ROOT } from './lock-file.ts';

/** The generated list of all packages with their licences. */
export const LICENCE_LIST = join(ROOT, 'THIRD-PARTY.md');

/**
 * Whether a licence is allowed: one of several that are joined by OR, or all of those that are joined by AND.
 * @param expression an SPDX expression without nested parentheses
 */
export function isAllowed(expression: string, allowed: readonly string[]): boolean {
  const plain = expression.replace(/^\((.*)\)$/, '$1');
  if (plain === '' || /[()]/.test(plain)) return false;
  return plain
    .split(' OR ')
    .some((option) => option.split(' AND ').every((licence) => allowed.includes(licence.trim())));
}

/** The content of THIRD-PARTY.md for the packages in package-lock.json. */
export function licenceList(): string {
  const delivered = new Set(bundleCode().packages.map(({ name, version }) => `${name} ${version}`));
  const useOf = ({ name, version, dev }: LockedPackage) =>
    dev ? 'development' : delivered.has(`${name} ${version}`) ? 'in the functions' : 'installed';
  const rows = lockedPackages().map(
    (one) => `| ${one.name} | ${one.version} | ${one.licence} | ${useOf(one)} |`,
  );
  return `# Third-party packages

Generated from package-lock.json by \`npm run licences\`. A test compares it with the lock file.

- _in the functions_: code of the package is part of the Lambda functions. Each function contains the texts of these licences
  in the file THIRD-PARTY-LICENCES.txt.
- _installed_: npm installs it together with the product.
- _development_: only the development of this project needs it.

| Package | Version | Licence | Use |
| --- | --- | --- | --- |
${[...new Set(rows)].toSorted().join('\n')}
`;
}

export function readLicenceList(): string {
  return readFileSync(LICENCE_LIST, 'utf8');
}

if (import.meta.main) writeFileSync(LICENCE_LIST, licenceList());
