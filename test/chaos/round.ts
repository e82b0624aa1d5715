import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { processesOf } from '../support/processes.ts';
import { checkDatabase } from './checks/database.ts';
import { type FoundIndex, type Indexes, idOf, readIndexes } from './checks/indexes.ts';
import { checkFinalReport, checkLedger, checkOnlyOne, checkRun, reportOf } from './checks/report.ts';
import { type Checksums, readChecksums } from './checks/rows.ts';
import { checkOutput } from './checks/secrets.ts';
import { checkMachine, checkServices, checkStarted, hasSavedState } from './checks/services.ts';
import { type Violation, violationIf } from './checks/violation.ts';
import { type CommandRun, type EndedRun, type RunPlan, startRun } from './command-run.ts';
import type { Field } from './disturbance.ts';
import { startWriters } from './disturbances/writers.ts';
import { Journal } from './journal.ts';
import { type PlannedDisturbance, planRound, type RoundPlan, type Slot } from './plan.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';
import { type ChaosEntry, chaosEntries, registryText } from './world/entries.ts';
import { MIGRATIONS } from './world/migrations.ts';
import { createFromTemplate, dropDatabase } from './world/template.ts';

export interface RoundOptions {
  readonly seed: number;
  readonly round: number;
  readonly server: EmbeddedPostgres;
  /** The indexes of a clean build of the registry. */
  readonly reference: Indexes;
  /** The counts of all rounds. */
  readonly counts: Map<string, number>;
}

export interface RoundResult {
  readonly violations: readonly Violation[];
  /** What happened, with times. */
  readonly journal: readonly string[];
  /** Folder with the reports and the logs of the functions. It is kept only if a rule was broken. */
  readonly folder: string;
}

/** Runs one round: disturbed runs, then one that nobody disturbs, then all checks. */
export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { server, seed, round } = options;
  const name = `chaos_${seed}_${round}`;
  const folder = createCommandFolder();
  const clear = () => {
    for (const { pid } of processesOf(folder.root)) process.kill(pid, 'SIGKILL');
    folder.remove();
  };
  // After Ctrl-C: the commands are in process groups of their own.
  process.once('exit', clear);
  const target = await createFromTemplate(server, name);
  const one = new Round(options, folder, target);
  const violations = await one.run();
  process.off('exit', clear);
  if (violations.length === 0) {
    await dropDatabase(server, name);
    clear();
  }
  return { violations, journal: one.journal.lines, folder: folder.root };
}

class Round {
  readonly journal: Journal;
  readonly #options: RoundOptions;
  readonly #folder: CommandFolder;
  readonly #target: Target;
  readonly #plan: RoundPlan;
  readonly #entries: readonly ChaosEntry[];
  readonly #violations: Violation[] = [];
  readonly #ending = new AbortController();
  readonly #field: Field;
  readonly #background: Promise<void>[] = [];
  /** The valid indexes of the registry, as they were after one of the runs. */
  readonly #seen = new Map<string, FoundIndex>();
  #running: CommandRun[] = [];
  #runs = 0;

  constructor(options: RoundOptions, folder: CommandFolder, target: Target) {
    this.#options = options;
    this.#folder = folder;
    this.#target = target;
    this.journal = new Journal(options.counts);
    this.#plan = planRound(new Random(options.seed, options.round));
    this.#entries = chaosEntries(this.#plan.criticalFailure);
    this.#field = {
      target,
      journal: this.journal,
      running: () => this.#running,
      functions: () => functionProcesses(folder),
      end: this.#ending.signal,
      replaced: new Set(),
      dropped: new Set(),
      unsteady: new Set(),
      debris: new Set(),
      entries: this.#entries,
    };
  }

  async run(): Promise<Violation[]> {
    writeFileSync(this.#folder.file('registry.json'), registryText(this.#entries));
    writeMigrations(this.#folder.directory, MIGRATIONS);
    const before = await readIndexes(this.#target.query);
    const sums = await readChecksums(this.#target.query);
    const stopWriters = startWriters(this.#target, this.#options.seed);
    try {
      for (const slot of this.#plan.slots) await this.#runSlot(slot);
    } finally {
      this.journal.note('the disturbances end');
      this.#ending.abort();
      await Promise.all(this.#background);
      this.journal.count('transactions of the writers', await stopWriters());
    }
    await this.#tidyUp();
    await this.#finalRun(before, sums);
    return this.#violations;
  }

  async #runSlot({ runs, disturbances }: Slot): Promise<void> {
    let isOver = false;
    const over = () => isOver;
    const started = runs.map(async ({ after, plan }) => {
      await pause(after);
      const run = this.#start(plan);
      const ended = await run.ended;
      this.#running = this.#running.filter((one) => one !== run);
      await this.#judge(run, ended);
      return { run, ended };
    });
    const slot = Promise.all(started).finally(() => {
      isOver = true;
    });
    const begun = {
      start: Promise.resolve(),
      work: this.#firstSession(over, '^pg-deploy-step (?!run)'),
      builds: this.#firstSession(over, '^pg-deploy-step build '),
    };
    for (const planned of disturbances) {
      this.#background.push(this.#disturb(planned, over, begun[planned.from]));
    }
    this.#add(checkOnlyOne(await slot));
  }

  async #disturb(
    { after, disturbance }: PlannedDisturbance,
    over: () => boolean,
    begun: Promise<void>,
  ): Promise<void> {
    await begun;
    await pause(after);
    if (over()) {
      this.journal.note(`left out, because the runs have ended: ${disturbance.text}`);
      return;
    }
    this.journal.note(disturbance.text);
    this.journal.count('disturbances');
    try {
      await disturbance.run(this.#field);
    } catch (error) {
      this.#add(violationIf('Each disturbance can be undone.', [disturbance.text, String(error)]));
    }
  }

  /** Waits until a command has opened a session whose name matches a regular expression. */
  async #firstSession(over: () => boolean, name: string): Promise<void> {
    while (!over()) {
      const rows = await this.#target
        .query('select from pg_stat_activity where datname = current_database() and application_name ~ $1', [
          name,
        ])
        .catch(() => []);
      if (rows.length > 0) return;
      await pause(50);
    }
  }

  #start(plan: RunPlan): CommandRun {
    this.#runs += 1;
    const run = startRun(this.#folder, this.#target.url, {
      number: this.#runs,
      plan,
    });
    this.#running = [...this.#running, run];
    this.journal.note(
      `run ${run.number} starts: --mode ${plan.mode} --services ${plan.services} ${plan.flags.join(' ')}`,
    );
    this.journal.count('runs');
    return run;
  }

  /** Checks what one run says. */
  async #judge(run: CommandRun, ended: EndedRun): Promise<Indexes> {
    const report = reportOf(ended);
    const said = report === undefined ? 'no report' : `${report.status}, ${JSON.stringify(report.totals)}`;
    this.journal.note(
      `run ${run.number} ended: exit code ${ended.exitCode}, ${said}${report?.failure ? `: ${report.failure}` : ''}`,
    );
    this.journal.count('indexes built', report?.totals.created ?? 0);
    const indexes = await this.#indexesNow();
    const { unsteady } = this.#field;
    this.#add(
      checkRun({ run, ended, entries: this.#entries, indexes, unsteady }),
      checkOutput(ended, this.#folder.logs()),
      checkStarted(this.#folder, { run, ended }),
    );
    for (const entry of this.#entries) {
      const found = indexes.get(idOf(entry));
      const isRight =
        found?.valid === true && found.definition === this.#options.reference.get(idOf(entry))?.definition;
      if (found !== undefined && isRight && !this.#seen.has(found.id)) this.#seen.set(found.id, found);
    }
    return indexes;
  }

  async #indexesNow(): Promise<Indexes> {
    return await readIndexes(this.#target.persist);
  }

  /** Removes what interrupted statements of the chaos itself have left, as a person would. */
  async #tidyUp(): Promise<void> {
    const { target, debris } = this.#field;
    await target.persist(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and application_name like 'chaos %'`,
    );
    for (const prefix of debris) {
      const rows = await target.persist<{ index: string }>(
        `select indexrelid::regclass::text as index from pg_index i join pg_class c on c.oid = i.indexrelid
          where starts_with(c.relname, $1)`,
        [prefix],
      );
      for (const { index } of rows) await target.persist(`drop index concurrently if exists ${index}`);
    }
  }

  async #finalRun(before: Indexes, sums: Checksums): Promise<void> {
    const plan: RunPlan = { mode: 'deploy', services: this.#plan.services, flags: [] };
    const run = this.#start(plan);
    const ended = await run.ended;
    this.#running = [];
    const after = await this.#judge(run, ended);
    const { query } = this.#target;
    const { replaced, dropped } = this.#field;
    const facts = { run, ended, entries: this.#entries, indexes: after, unsteady: new Set<string>() };
    this.#add(checkRun(facts), checkFinalReport(facts), await checkLedger(query, facts));
    if (plan.services === 'demo') this.#add(checkServices(this.#folder, ended));
    if (hasSavedState(this.#folder)) await this.#startServices();
    if (this.#plan.planAfterwards) await this.#planAgain();
    this.#add(
      await checkDatabase({
        target: this.#target,
        entries: this.#entries,
        reference: this.#options.reference,
        seen: this.#seen,
        ...{ before, sums, replaced, dropped },
      }),
      await checkMachine(this.#folder),
    );
  }

  /** The command that the summary prints for services that are left stopped. */
  async #startServices(): Promise<void> {
    const run = this.#start({ mode: 'start-services', services: this.#plan.services, flags: [] });
    const ended = await run.ended;
    this.#running = [];
    await this.#judge(run, ended);
    this.#add(
      violationIf(
        'Services that were left stopped are started by --mode start-services.',
        ended.exitCode === 0 && !hasSavedState(this.#folder) ? [] : [ended],
      ),
    );
  }

  async #planAgain(): Promise<void> {
    const before = [...(await this.#indexesNow())];
    const run = this.#start({ mode: 'plan', services: 'none', flags: [] });
    const ended = await run.ended;
    this.#running = [];
    const after = [...(await this.#judge(run, ended))];
    const missing = (reportOf(ended)?.indexes ?? []).filter((index) => {
      const entry = this.#entries.find((one) => one.name === index.name);
      return (
        entry?.expected.kind !== 'failed' && !['present', 'equivalent', 'drifted'].includes(index.status)
      );
    });
    this.#add(
      violationIf(
        'After an undisturbed run a plan finds nothing to build and changes nothing.',
        missing.length === 0 && JSON.stringify(before) === JSON.stringify(after)
          ? []
          : [missing, ended.exitCode],
      ),
    );
  }

  #add(...found: readonly Violation[][]): void {
    this.#violations.push(...found.flat());
  }
}

/** The processes of the local Lambda. Their variables name the function, and its bundle in the temporary folder. */
function functionProcesses(folder: CommandFolder): { pid: number; name: string }[] {
  return processesOf(folder.root).flatMap(({ pid, variables }) => {
    const name = variables.find((one) => one.startsWith('AWS_LAMBDA_FUNCTION_NAME='))?.split('=')[1];
    return name === undefined ? [] : [{ pid, name }];
  });
}
