import { readFileSync, statSync } from 'node:fs';

/** Settings with which the server logs each DDL statement and the end of each session, with their process ids. */
export const LOG_SETTINGS = {
  log_line_prefix: '%m [%p] ',
  log_statement: 'ddl',
  log_disconnections: 'on',
} as const;

/** One line of the log of a server with `LOG_SETTINGS`. */
interface LogLine {
  pid: number;
  /** The line from its severity on. */
  text: string;
}

/** The lines that a server has logged since this object was created. */
export interface ServerLog {
  text(): string;
  lines(): LogLine[];
}

export function serverLog(file: string): ServerLog {
  const start = statSync(file).size;
  const text = () => readFileSync(file).subarray(start).toString();
  return {
    text,
    lines: () =>
      text()
        .split('\n')
        .flatMap((line) => {
          const match = /\[(\d+)\] (\w+: .*)$/.exec(line);
          return match === null ? [] : [{ pid: Number(match[1]), text: match[2] ?? '' }];
        }),
  };
}

/** The sessions that started a build of the index, in order. `alone`: the earlier ones had ended by then. */
export function buildsOf(lines: readonly LogLine[], index: string): { pid: number; alone: boolean }[] {
  const alive = new Set<number>();
  const builds: { pid: number; alone: boolean }[] = [];
  for (const { pid, text } of lines) {
    if (text.includes('disconnection: ')) alive.delete(pid);
    if (!/statement: create (unique )?index concurrently/.test(text) || !text.includes(`"${index}"`))
      continue;
    builds.push({ pid, alone: alive.size === 0 });
    alive.add(pid);
  }
  return builds;
}
