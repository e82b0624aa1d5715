import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { directDependencies, ROOT } from './lock-file.ts';
import { type Release, recordedReleases } from './old-packages.ts';
import { askRegistry } from './registry.ts';

/*
 * `npm run releases`: asks the registry when the versions of the direct dependencies were released, as far as they are not
 * recorded yet, and writes them to releases.json.
 */

const recorded = recordedReleases();
const releases: Record<string, Release> = {};
for (const [name, version] of Object.entries(directDependencies()).toSorted()) {
  const known = recorded[name];
  if (known?.version === version) releases[name] = known;
  else releases[name] = { version, date: await dateOf(name, version) };
}
writeFileSync(join(ROOT, 'dependencies/releases.json'), `${JSON.stringify(releases, null, 2)}\n`);

async function dateOf(name: string, spec: string): Promise<string> {
  const version = spec.slice(spec.lastIndexOf('@') + 1);
  const times = (await askRegistry(name, 'time')) as Record<string, string> | null;
  const time = times?.[version];
  if (time === undefined)
    throw new Error(`The registry does not report when ${name} ${version} was released.`);
  return time.slice(0, 10);
}
