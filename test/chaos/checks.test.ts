import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { checkDatabase } from './checks/database.ts';
import { type Indexes, readIndexes } from './checks/indexes.ts';
import { checkFinalReport, checkLedger, checkOnlyOne, checkRun, type RunFacts } from './checks/report.ts';
import { type Checksums, readChecksums } from './checks/rows.ts';
import { checkOutput, PASSWORD } from './checks/secrets.ts';
import { checkMachine, checkServices, checkStarted } from './checks/services.ts';
import type { Violation } from './checks/violation.ts';
import { startRun } from './command-run.ts';
import type { Target } from './target.ts';
import { chaosEntries, registryText } from './world/entries.ts';
import { MIGRATIONS } from './world/migrations.ts';
import { copyDatabase, createFromTemplate, createTemplate } from './world/template.ts';

/*
 * The chaos test is only worth something if its checks can fail. One run that nobody disturbs breaks no rule. Then each
 * rule is broken behind the product's back.
 */

const entries = chaosEntries(false);

let server: EmbeddedPostgres;
let folder: CommandFolder;
let target: Target;
let before: Indexes;
let reference: Indexes;
let sums: Checksums;
let facts: RunFacts;
/** The indexes after the run. */
let seen: Indexes;

beforeAll(async () => {
  server = await startEmbeddedPostgres({
    password: PASSWORD,
    settings: { fsync: 'off', max_prepared_transactions: '5' },
  });
  reference = await createTemplate(server);
  target = await createFromTemplate(server, 'after_a_run');
  before = await readIndexes(target.query);
  sums = await readChecksums(target.query);
  folder = createCommandFolder();
  writeFileSync(folder.file('registry.json'), registryText(entries));
  writeMigrations(folder.directory, MIGRATIONS);
  const run = startRun(folder, target.url, {
    number: 1,
    plan: { mode: 'deploy', services: 'demo', flags: [] },
  });
  const ended = await run.ended;
  seen = await readIndexes(target.query);
  facts = { run, ended, entries, indexes: seen, unsteady: new Set() };
});

afterAll(async () => {
  folder.remove();
  await server.stop('immediate');
});

async function checkCopy(of: Target): Promise<Violation[]> {
  return await checkDatabase({
    target: of,
    ...{ entries, before, reference, sums },
    seen: new Map([...seen].filter(([id]) => id.startsWith('chaos_'))),
    replaced: new Set(),
    dropped: new Set(),
    patienceMs: 0,
  });
}

const rulesOf = (violations: readonly Violation[]) => violations.map(({ rule }) => rule);

it('a run that nobody disturbs breaks no rule', async () => {
  expect(await checkCopy(target)).toEqual([]);
  expect(checkRun(facts)).toEqual([]);
  expect(checkFinalReport(facts)).toEqual([]);
  expect(await checkLedger(target.query, facts)).toEqual([]);
  expect(checkServices(folder, facts.ended)).toEqual([]);
  expect(await checkMachine(folder)).toEqual([]);
  expect(checkOutput(facts.ended, folder.logs())).toEqual([]);
});

const REGISTRY = 'Each index of the registry is valid and has the definition of a clean build.';
const KEPT = 'An index that was valid is neither lost, nor replaced, nor changed.';
const ROWS = 'The rows of a table that nobody writes to do not change.';
const CARRIED = 'What hangs on an index hangs on its replacement too.';
const SECRETS = 'No value of a row and no password is in an output, a report, a log or the ledger.';
const AMCHECK = 'amcheck finds no error in an index.';
const PROBE = 'An index returns the same rows as a sequential scan.';
const MIGRATED = 'Each migration is applied once and recorded once.';
const TEMPORARY = 'No relation has a temporary name.';

/** Inserts a row that one index does not contain. */
const insertBehind = (index: string, insert: string) => [
  `update pg_index set indisready = false where indexrelid = '${index}'::regclass`,
  insert,
  `update pg_index set indisready = true where indexrelid = '${index}'::regclass`,
];

/** Each breaks one rule, and the message must show what. They do not touch each other, so all are done in one database. */
const BROKEN: [what: string, rule: string, shows: string, statements: string[]][] = [
  [
    'an index of the registry is missing',
    REGISTRY,
    'chaos_accounts_owner',
    ['drop index chaos_accounts_owner'],
  ],
  [
    'an index has another definition',
    REGISTRY,
    'chaos_accounts_note',
    ['drop index chaos_accounts_note', 'create index chaos_accounts_note on accounts (owner)'],
  ],
  [
    'an index is built twice',
    REGISTRY,
    'chaos_items_price',
    ['create index chaos_items_price on items (price) include (kind)'],
  ],
  [
    'an index that cannot be built exists',
    REGISTRY,
    'chaos_people_email',
    ['create index chaos_people_email on people (email)'],
  ],
  [
    'a drifted index was replaced',
    REGISTRY,
    'chaos_items_kind',
    ['drop index chaos_items_kind', 'create index chaos_items_kind on items (kind desc)'],
  ],
  [
    'a valid index was built again',
    KEPT,
    'chaos_orders_item',
    ['drop index chaos_orders_item', 'create index chaos_orders_item on orders (item_id)'],
  ],
  [
    'an index that a run built was built again',
    KEPT,
    'chaos_mixed',
    ['drop index chaos_mixed', 'create index chaos_mixed on "Mixed Case" ("The Name")'],
  ],
  ['an index beside the registry is lost', KEPT, 'by_hand_item_totals', ['drop index by_hand_item_totals']],
  ['a comment is lost', KEPT, 'by_hand_items_note', ['comment on index by_hand_items_note is null']],
  ['a replica identity is lost', KEPT, 'by_hand_visits', ['alter table visits replica identity default']],
  ['a cluster mark is lost', KEPT, '"clustered":true', ['alter table orders set without cluster']],
  [
    'a statistics target is lost',
    KEPT,
    'by_hand_people',
    ['alter index by_hand_people alter column 1 set statistics -1'],
  ],
  ['a storage option is lost', KEPT, 'fillfactor=80', ['alter index by_hand_orders reset (fillfactor)']],
  [
    'an index of a partition is lost',
    KEPT,
    'events_old_kind_idx',
    ['alter index events_old_kind_idx rename to other'],
  ],
  [
    'a replacement has lost the comment',
    CARRIED,
    '"index":"chaos_items_code"',
    ['comment on index chaos_items_code is null'],
  ],
  [
    'a replacement has lost the replica identity',
    CARRIED,
    '"index":"chaos_people_identity"',
    ['alter table people replica identity default'],
  ],
  [
    'a replacement has lost the statistics target',
    CARRIED,
    '"index":"chaos_items_upper"',
    ['alter index chaos_items_upper alter column 1 set statistics -1'],
  ],
  [
    'a partition has no valid index',
    'An index of a partitioned table has a valid index attached in each partition.',
    'by_hand_events',
    ["update pg_index set indisvalid = false where indexrelid = 'events_old_value_writer_idx'::regclass"],
  ],
  [
    'an index is invalid',
    'No index is invalid.',
    'accounts_owner_id',
    ["update pg_index set indisvalid = false where indexrelid = 'accounts_owner_id'::regclass"],
  ],
  [
    'a temporary name is left',
    TEMPORARY,
    'pg_deploy_step_dead_1',
    ['create index pg_deploy_step_dead_1 on people (share)'],
  ],
  [
    'a leftover of REINDEX is left',
    TEMPORARY,
    'by_hand_people_ccnew1',
    ['create index by_hand_people_ccnew1 on people (share)'],
  ],
  [
    'a transaction stays prepared',
    'No transaction stays prepared.',
    'left over',
    ["begin; update accounts set note = '' where id = 1; prepare transaction 'left over'"],
  ],
  [
    'an attempt has no session',
    'No attempt in the ledger is recorded as building although its session has ended.',
    'chaos_mixed',
    ["update deploy_step.index_builds set status = 'building' where index_name = 'chaos_mixed'"],
  ],
  [
    'the ledger shows a row',
    SECRETS,
    'Key (email)',
    [
      `update deploy_step.index_builds set message = 'Key (email)=(person2999@example.com) is duplicated.'
        where index_name = 'chaos_people_email'`,
    ],
  ],
  [
    'a btree index misses a row',
    AMCHECK,
    'by_hand_people',
    insertBehind('by_hand_people', "insert into people values (0, '', 'new', '(1,1),(0,0)', 1)"),
  ],
  [
    'a gin index misses a row',
    PROBE,
    'chaos_items_payload',
    insertBehind('chaos_items_payload', `insert into items values (0, '', '', 0, '{"k": 7}', '{}')`),
  ],
  [
    'a hash index misses a row',
    PROBE,
    'chaos_visits_visitor',
    insertBehind('chaos_visits_visitor', "insert into visits values (0, '', 42)"),
  ],
  ['a row changed', ROWS, 'shop.sales', ['update shop.sales set amount = -1 where id = 5']],
  ['a row is lost', ROWS, 'visits', ['delete from visits where id = 5']],
  [
    'an amount is lost',
    'Transfers between accounts keep the sum of the balances and the number of accounts.',
    '3999999',
    ['update accounts set balance = balance - 1 where id = 2'],
  ],
  [
    'an event is lost',
    'Each writer has as many events as it has counted.',
    '"writer":2',
    ['update counters set events = events + 1 where writer = 2'],
  ],
  [
    'a materialized view has lost rows',
    'The totals of the materialized view are those of the table.',
    'totals',
    ["insert into orders values (0, 1, 'open', 1, now())"],
  ],
  [
    'a migration ran twice',
    MIGRATED,
    '"name":"0002_items_added","recorded":1,"applied":2',
    ["insert into marks (label, migration) values ('done', '0002_items_added')"],
  ],
  [
    'a migration is recorded and did not run',
    MIGRATED,
    '"name":"0003_accounts_touched","recorded":1,"applied":0',
    ["delete from marks where migration = '0003_accounts_touched'"],
  ],
  [
    'a migration is recorded twice',
    MIGRATED,
    '"name":"0001_marks","recorded":2,"applied":1',
    ["insert into pgmigrations (name, run_on) values ('0001_marks', now())"],
  ],
  [
    'half of a migration ran',
    MIGRATED,
    '"recorded":0,"applied":1',
    ['update accounts set touched = 0 where id = 7'],
  ],
];

describe('each mistake in the database is found and shown', () => {
  let violations: Violation[];

  beforeAll(async () => {
    const copy = await copyDatabase(server, target.database, 'broken');
    for (const [, , , statements] of BROKEN) for (const sql of statements) await copy.query(sql);
    violations = await checkCopy(copy);
  });

  it.each(BROKEN)('%s', (_what, rule, shows) => {
    const found = violations
      .filter((violation) => violation.rule === rule)
      .flatMap((violation) => violation.found);
    expect(found.map((row) => JSON.stringify(row)).join('\n')).toContain(shows);
  });
});

it('a session and its advisory lock that stay break two rules', async () => {
  const copy = await copyDatabase(server, target.database, 'copy_sessions');
  const client = await copy.connect('other');
  await client.query("set application_name = 'pg-deploy-step build x'");
  await client.query('select pg_advisory_lock(1)');
  const broken = rulesOf(await checkCopy(copy));
  await client.end();
  expect(broken).toEqual([
    'No session of the product or of its services is left.',
    'No advisory lock is left.',
  ]);
});

describe('a report that is not true', () => {
  const RULES = {
    stdout: 'Standard output has the same report as the file. (run 1)',
    exitCode: 'The exit code agrees with the report. (run 1)',
    inner: 'The parts of the report agree with each other. (run 1)',
    catalog: 'The report agrees with the catalog. (run 1)',
    written: 'A run writes its report. (run 1)',
    code: 'A run ends with exit code 0 or 1. (run 1)',
    ends: 'A run ends by itself. (run 1)',
    success: 'No deploy succeeds while a critical index cannot be built. (run 1)',
  };

  const changed = (change: (report: Report) => void): RunFacts => {
    const report = JSON.parse(facts.ended.reportFile ?? '') as Report;
    change(report);
    const text = JSON.stringify(report);
    return { ...facts, ended: { ...facts.ended, reportFile: text, stdout: text } };
  };
  const indexOf = (report: Report, name: string) => {
    const found = report.indexes.find((index) => index.name === name);
    if (found === undefined) throw new Error(`${name} is not in the report.`);
    return found;
  };
  const without = (name: string): RunFacts => ({
    ...facts,
    indexes: new Map([...seen].filter(([id]) => id !== name)),
  });

  it.each<[what: string, rule: string, facts: () => RunFacts]>([
    [
      'another text on standard output',
      RULES.stdout,
      () => ({ ...facts, ended: { ...facts.ended, stdout: '{}' } }),
    ],
    [
      'exit code 1 after a success',
      RULES.exitCode,
      () => ({ ...facts, ended: { ...facts.ended, exitCode: 1 } }),
    ],
    [
      'exit code 0 after a failure',
      RULES.exitCode,
      () => changed((report) => Object.assign(report, { status: 'failed', failure: 'x' })),
    ],
    [
      'a failure without a reason',
      RULES.inner,
      () => changed((report) => Object.assign(report, { status: 'failed' })),
    ],
    [
      'wrong totals',
      RULES.inner,
      () =>
        changed(({ totals }) => {
          totals.created += 1;
        }),
    ],
    [
      'a failed index without an error',
      RULES.inner,
      () =>
        changed((report) => {
          indexOf(report, 'chaos_people_email').error = null;
        }),
    ],
    [
      'a failed critical index in a success',
      RULES.inner,
      () =>
        changed((report) => {
          indexOf(report, 'chaos_people_email').critical = true;
        }),
    ],
    ['a built index that does not exist', RULES.catalog, () => without('chaos_mixed')],
    ['an equivalent index that does not exist', RULES.catalog, () => without('items_price_of_earlier')],
    [
      'a missing index that exists',
      RULES.catalog,
      () =>
        changed((report) => {
          indexOf(report, 'chaos_mixed').status = 'missing';
        }),
    ],
    [
      'an index that is left out',
      RULES.catalog,
      () =>
        changed((report) => {
          report.indexes.pop();
        }),
    ],
    ['no report', RULES.written, () => ({ ...facts, ended: { ...facts.ended, reportFile: null } })],
    [
      'half a report',
      RULES.written,
      () => ({ ...facts, ended: { ...facts.ended, reportFile: '{"deploy":' } }),
    ],
    ['another exit code', RULES.code, () => ({ ...facts, ended: { ...facts.ended, exitCode: 7 } })],
    ['a run that did not end', RULES.ends, () => ({ ...facts, ended: { ...facts.ended, hung: true } })],
  ])('is found: %s', (_what, rule, read) => {
    expect(rulesOf(checkRun(read()))).toContain(rule);
  });

  it.each<[what: string, change: (report: Report) => void]>([
    [
      'a failure that is not expected',
      (report) => {
        indexOf(report, 'chaos_mixed').status = 'failed';
      },
    ],
    [
      'another SQLSTATE',
      (report) => {
        indexOf(report, 'chaos_people_email').error = { sqlstate: '57014', message: 'x' };
      },
    ],
    [
      'an index that is still building',
      (report) => {
        indexOf(report, 'chaos_events_day').status = 'building';
      },
    ],
    [
      'an index that was not compared',
      (report) => {
        indexOf(report, 'chaos_items_kind').status = 'present';
      },
    ],
  ])('is found after the last run: %s', (_what, change) => {
    expect(rulesOf(checkFinalReport(changed(change)))).toEqual([
      'The undisturbed run reports each index as it is.',
    ]);
  });

  it('is found after the last run: an exit code that hides a critical failure, a migration that did not run', () => {
    const critical: RunFacts = { ...facts, entries: chaosEntries(true) };
    expect(rulesOf(checkFinalReport(critical))).toEqual([
      'The undisturbed run fails exactly when a critical index cannot be built.',
    ]);
    const pending = changed(({ migrations }) => {
      migrations.pending.push('0003_accounts_touched');
    });
    expect(rulesOf(checkFinalReport(pending))).toEqual([
      'The undisturbed run applies the migrations that are pending.',
    ]);
  });

  it('is found: two runs that deploy at the same time', () => {
    const other = { ...facts, run: { ...facts.run, number: 2 } };
    expect(rulesOf(checkOnlyOne([facts, other]))).toEqual(['Only one run at a time deploys to a database.']);
    const later = changed((report) => {
      Object.assign(report, { startedAt: '2100-01-01T00:00:00Z', finishedAt: '2100-01-01T00:01:00Z' });
    });
    expect(checkOnlyOne([facts, later])).toEqual([]);
    const refused = changed((report) => {
      Object.assign(report, {
        failure: 'Refused before anything was stopped or changed. Another deploy is running.',
      });
    });
    expect(checkOnlyOne([facts, refused])).toEqual([]);
  });

  it('is found in the ledger: a build that it does not have', async () => {
    const claimed = changed((report) => {
      indexOf(report, 'chaos_orders_item').status = 'built';
    });
    expect(rulesOf(await checkLedger(target.query, claimed))).toEqual([
      'The ledger has each build that the report shows (run 1).',
    ]);
  });
});

it.each(['stdout', 'stderr', 'reportFile'] as const)('a password in %s is found', (field) => {
  const ended = { ...facts.ended, [field]: `at postgres://postgres:${PASSWORD}@127.0.0.1:5432/x` };
  expect(rulesOf(checkOutput(ended, ''))).toEqual([SECRETS]);
});

it('a row in the log of a function is found', () => {
  expect(rulesOf(checkOutput(facts.ended, 'build-index {"message":"person2999@example.com"}'))).toEqual([
    SECRETS,
  ]);
});

describe('what a command leaves on the machine', () => {
  it('is found: a process and a temporary folder', async () => {
    const child = spawn('sleep', ['600'], { env: { FOLDER: folder.root }, stdio: 'ignore' });
    mkdirSync(join(folder.root, 'tmp/pg-deploy-step-run-left'));
    const broken = rulesOf(await checkMachine(folder, 0));
    child.kill('SIGKILL');
    expect(broken).toEqual(['No process of a command is left.', 'No temporary file of a command is left.']);
  });

  it('is found: services that are stopped without a reason, and services that run after a critical failure', () => {
    const failed = JSON.parse(facts.ended.reportFile ?? '') as Report;
    for (const index of failed.indexes) index.critical = true;
    expect(rulesOf(checkServices(folder, { ...facts.ended, reportFile: JSON.stringify(failed) }))).toEqual([
      'After a critical failure the services are left stopped, their state is saved, and the output says so.',
    ]);
    mkdirSync(folder.file('.pg-deploy-step'));
    writeFileSync(folder.file('.pg-deploy-step/aws-1.json'), '{}');
    expect(rulesOf(checkStarted(folder, facts))).toEqual([
      'A run that succeeds leaves no service stopped (run 1).',
    ]);
    expect(rulesOf(checkServices(folder, facts.ended))).toEqual([
      'After a run without a critical failure all services run again.',
    ]);
  });
});
