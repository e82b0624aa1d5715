import { collect } from './collect.ts';
import { entriesOf, type Imported } from './entries.ts';
import type { Sources } from './source.ts';

/** The indexes that the SQL of a path makes, as entries. */
export async function importSources({ files, notTaken }: Omit<Sources, 'tool'>): Promise<Imported> {
  const withoutLines = new Set(files.filter(({ hasLines }) => !hasLines).map(({ file }) => file));
  const collected = collect(files);
  return await entriesOf(
    { ...collected, notTaken: [...notTaken, ...collected.notTaken] },
    (file) => !withoutLines.has(file),
  );
}
