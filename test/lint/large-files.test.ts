import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { largeInsert, schemaDump } from '../support/large-sql.ts';

/* The small version of bench/large-files.ts: each command reads the file in a process of its own. */

const MB = 1_000_000;
const COMMANDS = { lint: ['lint', '--format', 'json', '--migrations'], import: ['import', '--json'] };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'large-files-'));
  writeFileSync(
    join(folder, 'report-usage.mjs'),
    `import { writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(process.env.USAGE, String(process.resourceUsage().maxRSS)));`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a command prints, and the most memory that it had, in bytes. */
function run(
  command: keyof typeof COMMANDS,
  text: string,
): { result: Record<string, unknown[]>; memory: number } {
  const migrations = join(folder, 'migrations');
  mkdirSync(migrations, { recursive: true });
  writeFileSync(join(migrations, '0001_a.sql'), text);
  const usage = join(folder, 'usage');
  const { stdout } = spawnSync(
    process.execPath,
    [
      ...['--import', join(folder, 'report-usage.mjs')],
      join(import.meta.dirname, '../../bin/pg-deploy-step.ts'),
      ...[...COMMANDS[command], migrations],
    ],
    { env: { ...process.env, USAGE: usage }, encoding: 'utf8', maxBuffer: 100 * MB },
  );
  return { result: JSON.parse(stdout), memory: Number(readFileSync(usage, 'utf8')) * 1_024 };
}

describe.each(['lint', 'import'] as const)('%s', (command) => {
  test('needs less than five times the size of one INSERT, and finds the index after it', () => {
    const index = 'create index i on t (note);';
    const text = largeInsert(20 * MB) + index;
    const small = run(command, index);
    const large = run(command, text);

    expect(large.result[command === 'lint' ? 'findings' : 'entries']).toHaveLength(1);
    expect((large.memory - small.memory) / text.length).toBeLessThan(5);
  });

  test('finds every index of a dump', () => {
    const text = schemaDump(MB);
    const indexes = text.match(/^CREATE INDEX/gm)?.length ?? 0;
    const { result } = run(command, text);

    expect(indexes).toBeGreaterThan(100);
    expect(result[command === 'lint' ? 'findings' : 'entries']).toHaveLength(indexes);
  });

  test('needs less than 16 times the size of a dump, whose statements have a hundred times its size as trees', () => {
    const text = schemaDump(6 * MB);
    const small = run(command, 'create index i on t (note);');
    const large = run(command, text);

    expect((large.memory - small.memory) / text.length).toBeLessThan(16);
  });
});
