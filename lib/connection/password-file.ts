import { readFileSync, type Stats, statSync } from 'node:fs';
import { userFile } from './home-folder.ts';

interface Target {
  /** As libpq compares it: `localhost` for the default Unix socket. */
  readonly host: string;
  readonly port: string;
  readonly database: string;
  readonly user: string;
}

interface PasswordFile {
  /** The password of the first line that matches. */
  find(target: Target): string | undefined;
  /** Why the file is not used. Null: it is used, or does not exist. */
  readonly warning: string | null;
}

/**
 * Reads a password file: HOST:PORT:DATABASE:USER:PASSWORD in each line. A file that other users can read is not used, as in
 * libpq. https://www.postgresql.org/docs/current/libpq-pgpass.html
 * @param file @default ~/.pgpass
 */
export function readPasswordFile(file: string | undefined, variables: NodeJS.ProcessEnv): PasswordFile {
  const name = file ?? userFile(variables, { name: '.pgpass', onWindows: 'pgpass.conf' });
  const stat = statSync(name, { throwIfNoEntry: false });
  const warning = stat === undefined ? null : problemOf(name, stat);
  const lines = stat === undefined || warning !== null ? [] : linesOf(name);
  return {
    warning,
    find: ({ host, port, database, user }) => {
      const wanted = [host, port, database, user];
      const found = lines
        .map(fieldsOf)
        .find((fields) =>
          wanted.every((value, at) => fields[at]?.raw === '*' || fields[at]?.value === value),
        );
      return found?.[wanted.length]?.value || undefined;
    },
  };
}

function problemOf(name: string, stat: Stats): string | null {
  if (!stat.isFile()) return `The password file ${name} is not a plain file, so it is not used.`;
  if (process.platform === 'win32' || (stat.mode & 0o077) === 0) return null;
  return `The password file ${name} can be read by other users, so it is not used. Run chmod 600 ${name}.`;
}

function linesOf(name: string): string[] {
  try {
    return readFileSync(name, 'utf8')
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch {
    // As in libpq: the server reports that the password is missing.
    return [];
  }
}

interface Field {
  readonly raw: string;
  /** Without the backslashes that escape colons and backslashes. */
  readonly value: string;
}

function fieldsOf(line: string): Field[] {
  return [...line.matchAll(/((?:\\.|[^:\\]|\\$)*)(?::|$)/gs)].map(([, raw = '']) => ({
    raw,
    value: raw.replace(/\\(.)/gs, '$1'),
  }));
}
