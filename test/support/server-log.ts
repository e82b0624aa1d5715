import { readFileSync, statSync } from 'node:fs';

/** Settings under which a server's log tells who ran which DDL and when which session ended. */
export const LOG_SETTINGS = {
  log_line_prefix: '%m [%p] ',
  log_statement: 'ddl',
  log_disconnections: 'on',
} as const;

/** One line of a server's log that stands under `LOG_SETTINGS`. */
export interface LogLine {
  pid: number;
  /** From the severity on. */
  text: string;
}

/** What a server has written to its log since this was made. */
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

/** Sessions that began to build the index, in order, and of each whether the one before it had ended by then. */
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
