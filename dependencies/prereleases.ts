import { askRegistry } from './registry.ts';

/** The versions among `versions` that are releases: without a part such as -beta.17. */
export function releasesAmong(versions: readonly string[]): string[] {
  return versions.filter((version) => !version.includes('-'));
}

/** The released versions of a direct dependency. Null: the registry did not answer. */
export async function releasedVersions(name: string): Promise<string[] | null> {
  const versions = await askRegistry(name, 'versions');
  return Array.isArray(versions) ? releasesAmong(versions.map(String)) : null;
}
