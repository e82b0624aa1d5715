import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { messageOf } from '../../../lambdas/shared/errors.ts';
import { isRevision } from '../../../lambdas/shared/execution-input.ts';
import { visible } from '../../../lambdas/shared/visible-text.ts';
import { readSearchPath, trustedRoleProblem } from '../../config/database-config.ts';
import { type ResolvedConnection, resolveConnection } from '../../connection/resolve-connection.ts';
import { checkNewFile } from '../../files/new-file.ts';
import { checkOutputFile } from '../../files/output-file.ts';
import { parsePlaceholder } from '../../sources/placeholders.ts';
import { terminalText } from '../terminal/terminal-text.ts';

/** Exit code: the command succeeded, warnings included. */
export const SUCCEEDED = 0;
/** Exit code: the command failed, or could not start. */
export const FAILED = 1;
/** Exit code: the command line is wrong; the message says where the usage is. */
export const WRONG_USAGE = 2;

/** Adds one value to a repeatable flag. */
export function addValue(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/*
 * Parsers of flag values. Each throws InvalidArgumentError, which commander prints with the flag, the value and the
 * usage.
 */

/** Adds the name of a role to a repeatable flag. */
export function addTrustedRole(name: string, before?: readonly string[]): string[] {
  const problem = trustedRoleProblem(name);
  if (problem !== null) throw new InvalidArgumentError(`It ${problem}.`);
  return addValue(name, before);
}

/** Adds the revision of a service to a repeatable flag: NAME=FAMILY:REVISION. */
export function addRevision(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, name = '', revision] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (revision === undefined || !isRevision(revision))
    throw new InvalidArgumentError('It must be NAME=FAMILY:REVISION, such as api=api:42.');
  if (Object.hasOwn(before, name))
    throw new InvalidArgumentError(`The service ${name} has the revision ${before[name]} already.`);
  return { ...before, [name]: revision };
}

/** Adds the value of a placeholder to a repeatable flag: NAME=VALUE. */
export function addPlaceholder(
  text: string,
  before: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const read = parsePlaceholder(text);
  if ('problem' in read) throw new InvalidArgumentError(`It ${read.problem}.`);
  const known = before.get(read.name);
  if (known !== undefined && known !== read.value) {
    throw new InvalidArgumentError(`The placeholder ${read.name} has the value ${known} already.`);
  }
  return new Map([...before, [read.name, read.value]]);
}

/** Text of the help for --placeholder. */
export const PLACEHOLDER_VALUES =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how migration tools write placeholders
  'value of ${name} or {{name}} in the migrations, such as schema=public; repeatable';

/** The names of a search path. */
export function searchPath(text: string): string[] {
  const read = readSearchPath(text);
  if ('problem' in read) throw new InvalidArgumentError(`It ${read.problem}.`);
  return read.names;
}

/** A file that must exist. @returns its absolute path */
export function fileToRead(text: string): string {
  const file = resolve(text);
  if (!existsSync(file)) throw new InvalidArgumentError(`The file ${file} does not exist.`);
  if (isFolder(file)) throw new InvalidArgumentError(`${file} is a folder, not a file.`);
  return file;
}

/** A file or folder that must exist. @returns the path as it was given */
export function fileOrFolder(text: string): string {
  if (!existsSync(text))
    throw new InvalidArgumentError(`The file or folder ${resolve(text)} does not exist.`);
  return text;
}

/**
 * A file that is written at the end, checked now so that the work before is not wasted. The file is not changed.
 * @returns its absolute path
 */
export function fileToWrite(text: string): string {
  return checkedFile(text, checkOutputFile);
}

/** A file that is written at the end, as `fileToWrite`. Its folder is created then, if it does not exist. */
export function fileInAnyFolder(text: string): string {
  return checkedFile(text, checkNewFile);
}

function checkedFile(text: string, check: (file: string) => void): string {
  const file = resolve(nonEmpty(text));
  try {
    check(file);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
  return file;
}

/** A folder that must exist, or "none". @returns its absolute path, or "none" */
export function migrationsFolder(text: string): string {
  if (text === 'none') return text;
  const folder = resolve(text);
  if (isFolder(folder)) return folder;
  if (existsSync(folder)) throw new InvalidArgumentError(`${folder} is a file, not a folder.`);
  throw new InvalidArgumentError(
    `The folder ${folder} does not exist. Give a folder with SQL files, or none.`,
  );
}

/** A command for the shell. */
export function shellCommand(text: string): string {
  if (text.trim() !== '') return text;
  throw new InvalidArgumentError(
    'Give the command that runs the migrations, such as "alembic upgrade head".',
  );
}

/** A text with at least one character that is not blank. */
export function nonEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** A whole number within limits. */
export function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** Text of the help for the values of --database-url. */
export const DATABASE_URL_VALUES =
  'a URL, "host=… dbname=…", or env for DATABASE_URL and the PG* variables; without a password, PGPASSWORD or ~/.pgpass is used';

/**
 * Resolves the value of --database-url, or of another option, and ends the command with wrong usage if that is not possible. It is no parser of the
 * flag: commander would print the value, which may contain a password.
 */
export function requireConnection(
  command: Command,
  text: string,
  option = '--database-url <url>',
): ResolvedConnection {
  try {
    const connection = resolveConnection(text);
    for (const warning of connection.warnings) {
      process.stderr.write(`${terminalText(visible(`Warning: ${warning}`))}\n`);
    }
    return connection;
  } catch (error) {
    return command.error(`error: option '${option}': ${messageOf(error)}`);
  }
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
