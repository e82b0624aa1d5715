import { execFile } from 'node:child_process';
import { directDependencies, ROOT } from './lock-file.ts';

/** Name of a direct dependency on the registry, which is another one for an alias (`npm:NAME@VERSION`). */
export function registryName(name: string): string {
  return /^npm:(.+)@[^@]+$/.exec(directDependencies()[name] ?? '')?.[1] ?? name;
}

/** A field of a package's entry on the registry, with `npm view`. Null: the registry did not answer. */
export async function askRegistry(name: string, field: 'versions' | 'time'): Promise<unknown> {
  const stdout = await new Promise<string>((done) => {
    const args = ['view', registryName(name), field, '--json', '--offline=false'];
    execFile('npm', args, { cwd: ROOT, timeout: 60_000, maxBuffer: 2 ** 26 }, (error, out) =>
      done(error === null ? out : ''),
    );
  });
  return stdout.trim() === '' ? null : JSON.parse(stdout);
}
