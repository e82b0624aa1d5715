/*
 * Measures the memory and the time with which lint and import read large files, each in a fresh process: one INSERT with the rows
 * of a table, and the dump of a schema. Prints the time of the processor, and the highest memory above that for an empty
 * migration, as a multiple of the file's size. The arguments are other sizes, in MB.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { largeInsert, schemaDump } from '../test/support/large-sql.ts';

const SIZES = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [10, 20];
const ROUNDS = 3;
const MB = 1_000_000;

const COMMANDS = { lint: ['lint', '--migrations'], import: ['import', '--json'] };
const FILES = { 'one INSERT': largeInsert, 'the dump of a schema': schemaDump };

/** Writes the usage of the process where this one finds it: the summaries of the commands are on the other streams. */
const REPORT_USAGE = `import { writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(process.env.BENCH_USAGE, JSON.stringify(process.resourceUsage())));`;

const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
try {
  const empty = migrations('empty', 'select 1;');
  for (const [command, args] of Object.entries(COMMANDS)) {
    const base = usageOf([...args, empty]);
    console.log(
      `${command}, an empty migration: ${(base.bytes / MB).toFixed(0)} MB, ${base.seconds.toFixed(1)} s`,
    );
    for (const [name, textOf] of Object.entries(FILES)) {
      for (const size of SIZES) {
        const path = migrations(`${name}-${size}`.replaceAll(' ', '-'), textOf(size * MB));
        const bytes = statSync(join(path, '0001_a.sql')).size;
        const used = usageOf([...args, path]);
        const above = used.bytes - base.bytes;
        console.log(
          `${command}, ${name}, ${(bytes / MB).toFixed(1)} MB: ${(above / bytes).toFixed(1)} × the file (${(above / MB).toFixed(0)} MB ` +
            `above the base), ${used.seconds.toFixed(1)} s`,
        );
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** @returns the folder of the only migration */
function migrations(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, '0001_a.sql'), text);
  return path;
}

/** The lowest memory and time of a command in some rounds. */
function usageOf(args: readonly string[]): { bytes: number; seconds: number } {
  const usage = join(folder, 'usage.json');
  const preload = join(folder, 'report-usage.mjs');
  writeFileSync(preload, REPORT_USAGE);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', preload, join(import.meta.dirname, '../bin/pg-deploy-step.ts'), ...args],
      { env: { ...process.env, BENCH_USAGE: usage }, encoding: 'utf8', maxBuffer: 1_000 * MB },
    );
    if (status !== 0 && status !== 1) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
    return usageIn(usage);
  });
  return {
    bytes: Math.min(...rounds.map(({ bytes }) => bytes)),
    seconds: Math.min(...rounds.map(({ seconds }) => seconds)),
  };
}

function usageIn(file: string): { bytes: number; seconds: number } {
  const { maxRSS, userCPUTime, systemCPUTime } = JSON.parse(
    readFileSync(file, 'utf8'),
  ) as NodeJS.ResourceUsage;
  return { bytes: maxRSS * 1_024, seconds: (userCPUTime + systemCPUTime) / 1_000_000 };
}
