import { readdirSync, readFileSync } from 'node:fs';

export interface FoundProcess {
  readonly pid: number;
  readonly commandLine: string;
  /** `NAME=VALUE`, as at the start of the process. */
  readonly variables: readonly string[];
}

/** The processes that have a folder's path in their arguments or variables, except this process. */
export function processesOf(folder: string): FoundProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const commandLine = read(`/proc/${name}/cmdline`);
      const variables = read(`/proc/${name}/environ`);
      if (!(commandLine + variables).includes(folder)) return [];
      const pid = Number(name);
      return [{ pid, commandLine: commandLine.replaceAll('\0', ' '), variables: variables.split('\0') }];
    });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // The process has ended, or belongs to another user.
    return '';
  }
}
