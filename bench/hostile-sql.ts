/*
 * Doubles texts that a reader of SQL could read more than once, and compares the times to lint them: 2 means that the time grows
 * with the length of the text, 4 that it grows with its square. The first argument is the length of the shorter text (default:
 * 100,000), the second a part of the names of the texts to measure (default: all).
 */
import { withoutAllowed } from '../lib/lint/allow-comments.ts';
import { MigrationLinter } from '../lib/lint/migrations/migration-linter.ts';
import { RegisteredIndexes } from '../lib/registry/registered-indexes.ts';
import { upMigration } from '../lib/sources/migration-files.ts';
import { HOSTILE_SQL } from '../test/support/hostile-sql.ts';

const LENGTH = Number(process.argv[2] ?? 100_000);
const NAME = process.argv[3] ?? '';
const ROUNDS = 3;

let worst = { name: '', ratio: 0 };
for (const [name, textOf] of Object.entries(HOSTILE_SQL).filter(([one]) => one.includes(NAME))) {
  const [text, doubled] = [textOf(LENGTH), textOf(2 * LENGTH)];
  // In alternating rounds, so that a change of the machine's speed concerns both. The fastest round is the least disturbed.
  let [once, twice] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round += 1) {
    once = Math.min(
      once,
      processorTime(() => lint(text)),
    );
    twice = Math.min(
      twice,
      processorTime(() => lint(doubled)),
    );
  }
  const ratio = twice / once;
  if (ratio > worst.ratio && twice > 20) worst = { name, ratio };
  console.log(
    `${name}: ${once.toFixed(0)} ms for ${text.length} characters, ${twice.toFixed(0)} ms for ${doubled.length} (ratio ${ratio.toFixed(1)})`,
  );
}
console.log(`Highest ratio of a text that takes more than 20 ms: ${worst.ratio.toFixed(1)} (${worst.name}).`);

function lint(text: string): void {
  const linter = new MigrationLinter(new RegisteredIndexes([]));
  const { findings, allowances } = linter.lint(
    { file: 'a.sql', text: upMigration(text), hasLines: true },
    true,
  );
  withoutAllowed(findings, allowances);
}

/** Milliseconds of the processor, which do not count the time that other processes take. */
function processorTime(work: () => void): number {
  const before = process.cpuUsage();
  work();
  return process.cpuUsage(before).user / 1000;
}
