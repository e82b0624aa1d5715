import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { ConnectionParameters } from '../../lambdas/postgres/connection-uri.ts';
import { ConnectionError } from './connection-parameters.ts';
import { userFile } from './home-folder.ts';

/** Where Debian's and Red Hat's packages of libpq look for the file of the system. PGSYSCONFDIR replaces it. */
const SYSTEM_FOLDERS = ['/etc/postgresql-common', '/etc/sysconfig/pgsql', '/etc'];

/**
 * The parameters of a service: from PGSERVICEFILE or the user's file, else from the system's file.
 * https://www.postgresql.org/docs/current/libpq-pgservice.html
 * @throws ConnectionError when no file defines the service, or a line cannot be read
 */
export function readService(
  service: string,
  file: string | undefined,
  variables: NodeJS.ProcessEnv,
): ConnectionParameters {
  const system = variables.PGSYSCONFDIR === undefined ? SYSTEM_FOLDERS : [variables.PGSYSCONFDIR];
  const files = [
    file ?? userFile(variables, { name: '.pg_service.conf', onWindows: '.pg_service.conf' }),
    ...system.map((folder) => path.join(folder, 'pg_service.conf')),
  ];
  for (const candidate of files.filter((one) => existsSync(one))) {
    const found = parseServiceFile(candidate).get(service);
    if (found !== undefined) return found;
  }
  throw new ConnectionError(
    `The service "${service}" (PGSERVICE) is in none of these files: ${files.join(', ')}. Add a section [${service}] to the first one.`,
  );
}

/** The sections of a file. As in libpq, the first section with a name counts. */
function parseServiceFile(file: string): Map<string, ConnectionParameters> {
  const services = new Map<string, Record<string, string>>();
  let current: Record<string, string> | undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConnectionError(
      `The service file ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
    );
  }
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, section] = /^\[(.*)\]$/.exec(line) ?? [];
    if (section !== undefined) {
      current = {};
      if (!services.has(section)) services.set(section, current);
      continue;
    }
    const equals = line.indexOf('=');
    const name = line.slice(0, equals);
    if (current === undefined || equals <= 0 || !/^\w+$/.test(name)) {
      throw new ConnectionError(`${file}:${index + 1}: the line is not [SERVICE] and not PARAMETER=VALUE.`);
    }
    if (name === 'service' || name === 'servicefile') {
      throw new ConnectionError(`${file}:${index + 1}: a service cannot name another service.`);
    }
    const value = line.slice(equals + 1);
    if (value !== '') current[name] ??= value;
  }
  return services;
}
