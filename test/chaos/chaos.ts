/*
 * npm run chaos -- --seed N --rounds N
 *
 * Runs the command line against an embedded PostgreSQL while runs, functions, sessions and the server are killed and other
 * people work in the database, and checks after each round that nothing is lost, left or reported wrongly.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import type { Indexes } from './checks/indexes.ts';
import { PASSWORD } from './checks/secrets.ts';
import { type RoundResult, runRound } from './round.ts';
import { createTemplate } from './world/template.ts';

const USAGE = `Usage: npm run chaos -- [--seed N] [--rounds N] [--round N] [--verbose]
  --seed N     seed of all random decisions (default: a random one, which is printed)
  --rounds N   number of rounds (default: 5)
  --round N    run only this round of the seed
  --verbose    print what happens in each round, also if nothing is wrong`;

interface Settings {
  readonly seed: number;
  readonly rounds: readonly number[];
  readonly verbose: boolean;
}

interface ChaosServer {
  readonly major: 18 | 14;
  readonly server: EmbeddedPostgres;
  readonly reference: Indexes;
}

// `exit` ends what the round has started. The server's watchdog stops the server.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

process.exitCode = await main();

async function main(): Promise<number> {
  let settings: Settings;
  try {
    settings = readSettings();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const counts = new Map<string, number>();
  const failed: number[] = [];
  const servers: ChaosServer[] = [];
  const started = Date.now();
  console.log(`Chaos with seed ${settings.seed}: ${settings.rounds.length} rounds.`);
  try {
    for (const round of settings.rounds) {
      const { major, server, reference } = await serverFor(settings.seed + round, servers);
      const begun = Date.now();
      const result = await runRound({ seed: settings.seed, round, server, reference, counts });
      const took = `${((Date.now() - begun) / 1000).toFixed(0)} s, PostgreSQL ${major}`;
      if (result.violations.length === 0) {
        console.log(
          [`Round ${round}: ok (${took})`, ...(settings.verbose ? result.journal : [])].join('\n    '),
        );
      } else {
        failed.push(round);
        console.log(failureText(settings.seed, { round, took, result }));
      }
    }
  } finally {
    await Promise.all(servers.map(({ server }) => server.stop('immediate')));
  }
  console.log(summaryText(settings, { counts, failed, minutes: (Date.now() - started) / 60_000 }));
  return failed.length === 0 ? 0 : 1;
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      rounds: { type: 'string' },
      round: { type: 'string' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const whole = (name: string, text: string | undefined, otherwise: number): number => {
    if (text === undefined) return otherwise;
    if (!/^\d{1,9}$/.test(text))
      throw new Error(`--${name} must be a whole number from 0 to 999999999, not "${text}".`);
    return Number(text);
  };
  const { verbose } = values;
  const seed = whole('seed', values.seed, randomInt(1_000_000));
  if (values.round !== undefined) return { seed, verbose, rounds: [whole('round', values.round, 1)] };
  const count = whole('rounds', values.rounds, 5);
  return { seed, verbose, rounds: Array.from({ length: count }, (_, at) => at + 1) };
}

/** Rounds alternate between the newest and the oldest supported version, where its binaries are installed. */
async function serverFor(number: number, servers: ChaosServer[]): Promise<ChaosServer> {
  const major: 18 | 14 = number % 2 === 0 ? 18 : 14;
  const known = servers.find((one) => one.major === major);
  if (known !== undefined) return known;
  const server = await startServer(major);
  if (server === undefined) return await serverFor(0, servers);
  const opened: ChaosServer = { major, server, reference: await createTemplate(server) };
  servers.push(opened);
  return opened;
}

async function startServer(major: 18 | 14): Promise<EmbeddedPostgres | undefined> {
  try {
    return await startEmbeddedPostgres({
      major,
      password: PASSWORD,
      settings: { fsync: 'off', max_prepared_transactions: '20', shared_buffers: '64MB' },
    });
  } catch (error) {
    if (major === 14 && error instanceof Error && error.message.includes('is not installed')) {
      console.log(`${error.message} All rounds use PostgreSQL 18.`);
      return undefined;
    }
    throw error;
  }
}

function failureText(
  seed: number,
  { round, took, result }: { round: number; took: string; result: RoundResult },
): string {
  const violations = result.violations.flatMap(({ rule, found }) => [
    `  BROKEN: ${rule}`,
    ...found.map(
      (one) => `    ${typeof one === 'string' ? one.replaceAll('\n', '\n    ') : JSON.stringify(one)}`,
    ),
  ]);
  return [
    `Round ${round}: FAILED (${took}), seed ${seed}`,
    ...violations,
    '  What happened:',
    ...result.journal.map((line) => `    ${line}`),
    `  Reports and logs: ${result.folder}`,
    `  Repeat it: npm run chaos -- --seed ${seed} --round ${round}`,
  ].join('\n');
}

function summaryText(
  { seed, rounds }: Settings,
  {
    counts,
    failed,
    minutes,
  }: { counts: ReadonlyMap<string, number>; failed: readonly number[]; minutes: number },
): string {
  const lines = [...counts]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([what, count]) => `  ${what}: ${count}`);
  const result = failed.length === 0 ? 'none' : `rounds ${failed.join(', ')}`;
  return [
    `Chaos with seed ${seed}: ${rounds.length} rounds in ${minutes.toFixed(1)} minutes.`,
    ...lines,
    `  failures: ${result}`,
  ].join('\n');
}
