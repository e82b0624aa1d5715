import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

/** A package whose code is part of a bundle. */
export interface BundledPackage {
  name: string;
  version: string;
  /** SPDX expression. */
  licence: string;
  /** Text of its licence and notice files; of the chapter in its README; or a sentence that it has none. */
  text: string;
}

/**
 * The packages in a bundle, by name.
 * @param root folder to which the paths in the metafile are relative
 */
export function bundledPackages(metafile: Metafile, root: string): BundledPackage[] {
  const folders = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? (folderOfPackage(path) ?? []) : [],
    ),
  );
  return [...new Set(folders)]
    .map((folder) => readPackage(join(root, folder)))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The licences of the packages, as they are delivered with the bundle. */
export function licenceFile(packages: readonly BundledPackage[]): string {
  const parts = packages.map(
    ({ name, version, licence, text }) => `${'='.repeat(80)}\n${name} ${version} (${licence})\n\n${text}\n`,
  );
  return `index.mjs contains code of these packages.\n\n${parts.join('\n')}`;
}

function folderOfPackage(path: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0];
}

function readPackage(folder: string): BundledPackage {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license: string;
  };
  return { name, version, licence: license, text: licenceText(folder) };
}

function licenceText(folder: string): string {
  const files = readdirSync(folder).toSorted();
  const texts = files
    .filter((file) => /^(?:licen[cs]e|notice|copying)(?:[.-]|$)/i.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (texts.length > 0) return texts.join('\n\n');
  const readme = files.find((file) => /^readme/i.test(file));
  const chapter =
    readme && /^#+\s*licen[cs]e\b[\s\S]*/im.exec(readFileSync(join(folder, readme), 'utf8'))?.[0].trim();
  return chapter || 'The package contains no licence file. Its package.json names the licence above.';
}
