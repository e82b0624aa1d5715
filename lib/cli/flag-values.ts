import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { checkDatabaseUrl } from '../local/database-url.ts';

/*
 * The values of flags. Each parser throws InvalidArgumentError, which commander shows with the flag, the value and the
 * usage.
 */

/** What is wrong with a database's address, without the address. Null: nothing. */
export function databaseUrlProblem(text: string): string | null {
  try {
    checkDatabaseUrl(text);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** A file that is there. @returns its absolute path */
export function fileToRead(text: string): string {
  const file = resolve(text);
  if (!existsSync(file)) throw new InvalidArgumentError(`There is no file ${file}.`);
  if (isFolder(file)) throw new InvalidArgumentError(`${file} is a folder, not a file.`);
  return file;
}

/** A file or a folder that is there, as it was given. */
export function fileOrFolder(text: string): string {
  if (!existsSync(text)) throw new InvalidArgumentError(`There is no file or folder ${resolve(text)}.`);
  return text;
}

/** A file to be written once all is done, so what can be told of it is told before. @returns its absolute path */
export function fileToWrite(text: string): string {
  const file = resolve(text);
  if (isFolder(file)) throw new InvalidArgumentError(`${file} is a folder, not a file.`);
  if (!isFolder(dirname(file))) throw new InvalidArgumentError(`There is no folder ${dirname(file)}.`);
  return file;
}

/** A folder that is there, or none. @returns its absolute path, or none */
export function migrationsFolder(text: string): string {
  if (text === 'none') return text;
  const folder = resolve(text);
  if (isFolder(folder)) return folder;
  throw new InvalidArgumentError(
    `There is no folder ${folder}. Name the folder with the SQL files, or none.`,
  );
}

/** A command for the shell. */
export function shellCommand(text: string): string {
  if (text.trim() !== '') return text;
  throw new InvalidArgumentError('Name the command that migrates, such as "alembic upgrade head".');
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

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
