import { describe, expect, test } from 'vitest';
import { applyBuildRows } from '../../lib/cli/progress/build-rows.ts';
import {
  BUILD_INDEXES,
  DEPLOY,
  ECS,
  MIGRATIONS,
  RULE,
  START_SERVICES,
  WINDOW,
} from '../../lib/workflow/state-names.ts';
import { registryOf, Story, second } from './progress-story.ts';

const registry = registryOf('deals.a', 'deals.b', 'users.key', 'leads.c');

function building(): Story {
  const story = new Story(registry);
  story.start();
  story.decide('deploy');
  story.plan(
    [
      { table: 'deals', indexes: ['idx_deals_a', 'idx_deals_b'] },
      { table: 'users', indexes: ['idx_users_key'] },
    ],
    { present: 1 },
  );
  return story;
}

describe('the index builds', () => {
  test('are counted, with their lanes and the indexes that are already present', () => {
    const story = building();
    expect(story.texts.at(-1)).toBe('3 indexes to build in 2 lanes, 1 already present');
    expect(story.run.builds.build.lanes.map(({ table, indexes }) => [table, indexes.length])).toEqual([
      ['deals', 2],
      ['users', 1],
    ]);
  });

  test('a plan with nothing to build makes a line', () => {
    const story = new Story(registry);
    story.plan([], { present: 4 });
    expect(story.texts.at(-1)).toBe('Nothing to build, 4 already present');
  });

  test('each partition of a partitioned table has a lane', () => {
    const story = new Story(registry);
    story.plan([
      { table: 'deals_1', indexes: ['idx_deals_a @ deals_1'] },
      { table: 'deals_2', indexes: ['idx_deals_a @ deals_2'] },
    ]);
    expect(story.texts.at(-1)).toBe('2 partitions of 1 index to build in 2 lanes, 0 already present');
    story.begin('idx_deals_a @ deals_2');
    expect(story.texts.at(-1)).toBe('[1/2] idx_deals_a @ deals_2 on deals_2 (non-critical): deals by a');
    const row = { pid: 1, schema: 'public', table: 'deals_2', index: 'deals_2_a_idx', waitsFor: null };
    applyBuildRows(story.run, [{ ...row, phase: 'initializing', fraction: null }], second(1));
    expect(story.run.builds.build.building('deals_2')?.phase).toBe('initializing');
  });

  test('a later round adds to the total', () => {
    const story = building();
    story.plan([{ table: 'leads', indexes: ['idx_leads_c'] }]);
    expect(story.texts.at(-1)).toBe('1 more index to build in 1 lane');
    const lines = story.texts.length;
    // The same index again: the round before ended while it was built.
    story.plan([{ table: 'leads', indexes: ['idx_leads_c'] }]);
    expect(story.texts.slice(lines)).toEqual([]);
    story.begin('idx_leads_c');
    expect(story.texts.at(-1)).toBe('[1/4] idx_leads_c on leads (non-critical): leads by c');
  });

  test('a line shows the number, table, criticality and description of an index, another one its result', () => {
    const story = building();
    story.begin('idx_deals_a');
    story.begin('idx_users_key');
    story.now = 1.25;
    story.exit('idx_users_key', 'repaired');
    story.now = 2;
    story.exit('idx_deals_a', 'built');
    story.begin('idx_deals_b');
    story.exit('idx_deals_b', 'present');
    expect(story.texts.slice(-6)).toEqual([
      '[1/3] idx_deals_a on deals (non-critical): deals by a',
      '[2/3] idx_users_key on users (critical): users by key',
      '[2/3] idx_users_key repaired in 1.3 s',
      '[1/3] idx_deals_a created in 2.0 s',
      '[3/3] idx_deals_b on deals (non-critical): deals by b',
      '[3/3] idx_deals_b already exists',
    ]);
    expect(story.run.builds.build.count('done')).toBe(3);
  });

  test('a lock conflict shows the attempt, the error name and the blocking session', () => {
    const story = building();
    story.begin('idx_deals_a');
    story.fail(
      'idx_deals_a',
      'LockNotAvailable',
      'Could not acquire the lock on table deals within 3 s. Blocked by pid 7.',
    );
    expect(story.lines.at(-1)).toEqual({
      kind: 'warning',
      text: '[1/3] idx_deals_a attempt 1 failed: LockNotAvailable: Could not acquire the lock on table deals within 3 s. Blocked by pid 7.',
    });
    expect(story.run.builds.build.lanes[0]?.indexes[0]).toMatchObject({
      state: 'retrying',
      error: { name: 'LockNotAvailable' },
    });
    story.index('StateRetried', 'idx_deals_a', { attempt: 1 });
    story.now = 4;
    story.exit('idx_deals_a', 'built');
    expect(story.texts.slice(-2)).toEqual([
      '[1/3] idx_deals_a attempt 2 begins',
      '[1/3] idx_deals_a created in 4.0 s at attempt 2',
    ]);
  });

  test('an error without retry makes one line, when the index is marked as failed', () => {
    const story = building();
    story.begin('idx_deals_a');
    const before = story.lines.length;
    story.fail('idx_deals_a', 'BuildFailed', 'Index idx_deals_a: column "a" does not exist (SQLSTATE 42703)');
    story.catchError('idx_deals_a');
    expect(story.run.builds.build.lanes[0]?.indexes[0]?.state).toBe('settling');
    story.exit('idx_deals_a', 'failed', BUILD_INDEXES.settleIndex);
    expect(story.lines.slice(before)).toEqual([
      { kind: 'failure', text: '[1/3] idx_deals_a failed: column "a" does not exist (SQLSTATE 42703)' },
    ]);
    expect(story.run.builds.build.count('failed')).toBe(1);
  });

  test('an index fails when Settle Index fails', () => {
    const story = building();
    story.begin('idx_deals_a');
    const before = story.lines.length;
    story.fail('idx_deals_a', 'BuildFailed', 'Index idx_deals_a: column "a" does not exist (SQLSTATE 42703)');
    story.catchError('idx_deals_a');
    const state = BUILD_INDEXES.settleIndex;
    story.index('StateFailed', 'idx_deals_a', { state, error: 'States.Timeout', cause: 'States.Timeout' });
    story.index('StateCaught', 'idx_deals_a', { state });
    // The result of the last check is still in the state.
    const output = { build: { output: { state: 'interrupted' } }, settleError: { Error: 'States.Timeout' } };
    story.index('StateExited', 'idx_deals_a', { state, output });
    story.index('StateExited', 'idx_deals_a', { state: BUILD_INDEXES.indexNotSettled, output: {} });
    expect(story.lines.slice(before)).toEqual([
      { kind: 'warning', text: '[1/3] idx_deals_a Settle Index: States.Timeout: States.Timeout' },
      { kind: 'failure', text: '[1/3] idx_deals_a failed: States.Timeout' },
    ]);
    expect(story.run.builds.build.count('failed')).toBe(1);
  });

  test('an index that no longer fits into the window will be built after the start', () => {
    const story = building();
    story.begin('idx_deals_a');
    story.exit('idx_deals_a', 'missing', BUILD_INDEXES.checkIndex, 'left');
    expect(story.texts.at(-1)).toBe('[1/3] idx_deals_a will be built after the services start');
    expect(story.run.builds.build.count('left')).toBe(1);
  });

  test('a build whose session ended early makes a warning and is retried', () => {
    const story = building();
    story.begin('idx_deals_a');
    story.exit('idx_deals_a', 'building', BUILD_INDEXES.buildIndex, 'building');
    story.exit('idx_deals_a', 'building', BUILD_INDEXES.checkIndex, 'interrupted');
    story.begin('idx_deals_a');
    expect(story.texts.slice(-2)).toEqual([
      '[1/3] idx_deals_a attempt 1 failed: BuildInterrupted: the session that built it ended before the build did',
      '[1/3] idx_deals_a attempt 2 begins',
    ]);
  });

  test('a long build makes a line from time to time, with phase, percentage and the session that it waits for', () => {
    const story = building();
    story.begin('idx_deals_a');
    const row = {
      ...{ pid: 1, schema: 'public', table: 'deals', index: 'idx_deals_a' },
      ...{ phase: 'building index: scanning table', fraction: 0.42, waitsFor: null },
    };
    const update = (at: number, more: object = {}) =>
      applyBuildRows(story.run, [{ ...row, ...more }], second(at)).map(({ text }) => text);
    expect(update(2)).toEqual([]);
    expect(story.run.builds.build.lanes[0]?.indexes[0]).toMatchObject({ phase: row.phase, fraction: 0.42 });
    expect(update(11)).toEqual([
      '[1/3] idx_deals_a still building after 11.0 s: building index: scanning table, 42 %',
    ]);
    expect(update(20)).toEqual([]);
    expect(
      update(75, { phase: 'waiting for old snapshots', fraction: null, waitsFor: 'pid 7 (psql)' }),
    ).toEqual([
      '[1/3] idx_deals_a still building after 1 min 15 s: waiting for old snapshots, waits for pid 7 (psql)',
    ]);
  });

  test('a build by another session on the same table is ignored', () => {
    const story = building();
    story.begin('idx_deals_a');
    const row = {
      pid: 1,
      schema: 'public',
      table: 'deals',
      index: 'other',
      phase: 'x',
      fraction: 1,
      waitsFor: null,
    };
    expect(applyBuildRows(story.run, [row], second(60))).toEqual([]);
    expect(story.run.builds.build.lanes[0]?.indexes[0]?.fraction).toBeNull();
  });
});

describe('the phases of a run', () => {
  test('services show their task counts when they stop and when they are steady', () => {
    const story = new Story(registry);
    story.start();
    story.decide('deploy');
    story.emit('maintenanceWindow', 'StateEntered', WINDOW.stopServices);
    const stateToSave = { current: { desiredCount: 2, scaling: null } };
    story.stopEvent('StateExited', WINDOW.recordCurrentState, 'api', { stateToSave });
    story.stopEvent('StateEntered', ECS.stop, 'api');
    story.now = 1.5;
    story.stopEvent('StateExited', WINDOW.serviceStopped, 'api', {});
    story.emit('maintenanceWindow', 'StateExited', WINDOW.stopServices);
    story.emit('deploy', 'StateEntered', DEPLOY.startServices);
    story.startEvent('StateExited', START_SERVICES.readState, 'api', { savedState: { value: stateToSave } });
    story.startEvent('StateEntered', ECS.start, 'api');
    story.startEvent('StateExited', ECS.checkStarting, 'api', { tasks: { onRevision: [1] } });
    story.now = 3;
    story.startEvent('StateExited', START_SERVICES.steady, 'api', {});
    expect(story.texts).toEqual([
      'Preflight',
      'Decision: deploy, with the services stopped for the maintenance window',
      'Stop services',
      'api is stopping (2 tasks)',
      'api stopped after 1.5 s (2 tasks)',
      'Start services',
      'api is starting (2 tasks)',
      'api is steady with 2 tasks after 1.5 s',
    ]);
  });

  test('services that do not stop or do not become steady make failure lines', () => {
    const story = new Story(registry);
    const counts = { counts: { running: [1] }, tasks: { onRevision: [1] } };
    story.stopEvent('StateExited', ECS.stopped.check, 'api', counts);
    story.stopEvent('StateExited', WINDOW.serviceNotStopped, 'api', {});
    story.stopEvent('StateExited', WINDOW.serviceNotStopped, 'rule', {});
    story.startEvent('StateExited', START_SERVICES.notSteady, 'api', {
      savedState: { value: { current: { desiredCount: 2 } } },
    });
    story.startEvent('StateExited', START_SERVICES.notSteady, 'rule', {});
    expect(story.lines).toEqual([
      { kind: 'failure', text: 'api did not stop before the timeout: 1 task still running' },
      { kind: 'failure', text: 'rule did not stop before the timeout' },
      { kind: 'heading', text: 'Start services' },
      { kind: 'failure', text: 'api did not become steady before the timeout: 1 of 2 tasks running' },
      { kind: 'failure', text: 'rule did not become steady before the timeout' },
    ]);
  });

  test('rules and mappings show no task counts', () => {
    const story = new Story(registry);
    story.stopEvent('StateEntered', RULE.disable, 'nightly');
    story.stopEvent('StateExited', WINDOW.serviceStopped, 'nightly', {});
    story.startEvent('StateEntered', RULE.enable, 'nightly');
    story.now = 2;
    story.startEvent('StateExited', START_SERVICES.steady, 'nightly', {});
    // The queue was disabled before the deploy, so no state enables it.
    story.startEvent('StateExited', START_SERVICES.steady, 'queue', {});
    expect(story.texts).toEqual([
      'nightly is stopping',
      'nightly stopped after 0 ms',
      'Start services',
      'nightly is starting',
      'nightly is steady after 2.0 s',
      'queue stays disabled, as it was before the deploy',
    ]);
  });

  test('a service that cannot be stopped shows the reason', () => {
    const story = new Story(registry);
    story.emit('maintenanceWindow', 'StateEntered', WINDOW.checkServices);
    const refused = { name: 'web', usable: false, reason: 'the ECS service does not exist' };
    story.stopEvent('StateExited', WINDOW.serviceCannotBeStopped, 'web', refused);
    story.emit('maintenanceWindow', 'StateExited', WINDOW.checkServices);
    story.emit('maintenanceWindow', 'StateEntered', WINDOW.verdicts.servicesCannotBeStopped);
    expect(story.texts).toEqual(['Stop services', 'web cannot be stopped: the ECS service does not exist']);
    expect(story.run.phases.find('stop')?.state).toBe('failed');
  });

  test('a service that an earlier deploy left stopped shows the task count from before that deploy', () => {
    const story = new Story(registry);
    const stateToSave = (desiredCount: number) => ({ stateToSave: { current: { desiredCount } } });
    story.stopEvent('StateExited', WINDOW.recordCurrentState, 'api', stateToSave(0));
    story.stopEvent('StateExited', WINDOW.useEarlierState, 'api', stateToSave(3));
    story.stopEvent('StateEntered', ECS.stop, 'api');
    expect(story.texts).toEqual([
      'api will start again with the settings that an earlier deploy saved',
      'api is stopping (3 tasks)',
    ]);
  });

  test('sessions that the drain waits for are listed once for each change', () => {
    const story = new Story(registry);
    const check = (remaining: number, sessions: string) =>
      story.emit('maintenanceWindow', 'StateExited', WINDOW.drain.check, {
        output: { sessions: { output: { remaining, sessions } } },
      });
    story.emit('maintenanceWindow', 'StateEntered', WINDOW.drain.begin);
    story.emit('maintenanceWindow', 'StateEntered', WINDOW.drain.check);
    check(2, 'pid 7 (api), pid 8 (api)');
    check(2, 'pid 7 (api), pid 8 (api)');
    check(1, 'pid 8 (api)');
    check(0, '');
    story.emit('maintenanceWindow', 'StateExited', WINDOW.noSessionsLeft);
    expect(story.texts).toEqual([
      'Wait for sessions',
      'Waiting for 2 sessions of the application: pid 7 (api), pid 8 (api)',
      'Waiting for 1 session of the application: pid 8 (api)',
      'No sessions of the application are left',
    ]);
    expect(story.run.phases.find('drain')).toMatchObject({ state: 'done', result: 'none left' });
  });

  test('sessions that remain make a failure line', () => {
    const story = new Story(registry);
    story.emit('maintenanceWindow', 'StateEntered', WINDOW.drain.begin);
    const output = { verdict: 'sessions-remain', sessions: 'pid 8 (notebook)' };
    story.emit('maintenanceWindow', 'StateExited', WINDOW.verdicts.sessionsRemain, { output });
    expect(story.lines.at(-1)).toEqual({
      kind: 'failure',
      text: 'Sessions of the application remain: pid 8 (notebook)',
    });
    expect(story.run.phases.find('drain')?.state).toBe('failed');
  });

  test('with nothing to do, services make lines only if one was left stopped', () => {
    const quiet = new Story(registry);
    const left = new Story(registry);
    for (const story of [quiet, left]) {
      story.start();
      story.decide('nothing');
      story.emit('deploy', 'StateEntered', DEPLOY.startServices);
    }
    quiet.startEvent('StateExited', START_SERVICES.nothingSaved, 'api', {});
    left.startEvent('StateEntered', ECS.start, 'api');
    for (const story of [quiet, left]) story.emit('deploy', 'StateExited', DEPLOY.startServices);
    expect(quiet.texts.at(-1)).toBe('Decision: nothing to do, the services keep running');
    expect(quiet.run.phases.find('start')).toBeUndefined();
    expect(left.texts.slice(-2)).toEqual(['Start services', 'api is starting']);
    expect(left.run.phases.find('start')?.state).toBe('done');
  });

  test('a refused deploy shows no totals', () => {
    const story = new Story(registry);
    story.start();
    story.decide('refused', 'Another deploy is running.');
    story.emit('deploy', 'StateEntered', DEPLOY.report);
    const totals = { created: 0, skipped: 0, failed: 0, remaining: 0 };
    story.emit('deploy', 'StateExited', DEPLOY.report, { output: { report: { totals } } });
    expect(story.texts.at(-1)).toBe('Report');
    expect(story.run.phases.find('report')).toMatchObject({ state: 'done', result: '' });
  });

  test('each applied migration makes a line', () => {
    const story = new Story(registry);
    story.emit('maintenanceWindow', 'StateEntered', MIGRATIONS.run);
    const answer = { status: 'applied', applied: ['0001_a', '0002_b'], pending: [], failure: null };
    const output = { status: 'applied', runner: { name: 'sql' }, answer };
    story.emit('maintenanceWindow', 'StateExited', MIGRATIONS.run, { output: { migrations: { output } } });
    expect(story.texts).toEqual([
      'Run migrations',
      '0001_a applied',
      '0002_b applied',
      '2 migrations applied',
    ]);
  });

  test('a migration task or function of the application shows names only if it returns them', () => {
    const linesOf = (name: string, answer: unknown) => {
      const story = new Story(registry);
      story.emit('maintenanceWindow', 'StateEntered', MIGRATIONS.run);
      const output = { migrations: { output: { status: 'applied', runner: { name }, answer } } };
      story.emit('maintenanceWindow', 'StateExited', MIGRATIONS.run, { output });
      return story.texts.slice(1);
    };

    expect(linesOf('ecs-task', { task: 'arn' })).toEqual(['The migration task succeeded']);
    expect(linesOf('lambda', null)).toEqual(['The migration function succeeded']);
    expect(linesOf('lambda', { applied: ['a', 1] })).toEqual(['a applied', '1 migration applied']);
  });

  test('a failed migration shows its file and the error, and the builds are skipped', () => {
    const story = new Story(registry);
    story.start();
    story.decide('deploy');
    story.emit('maintenanceWindow', 'StateEntered', MIGRATIONS.run);
    const failure = {
      ...{ file: '0002_b', line: 7, statement: 'create table x ()' },
      sqlstate: '42P07',
      message: 'relation "x" already exists (SQLSTATE 42P07)',
    };
    const answer = { status: 'failed', applied: [], pending: ['0002_b'], failure };
    const output = { status: 'failed', runner: { name: 'sql' }, answer };
    story.emit('maintenanceWindow', 'StateExited', MIGRATIONS.run, { output: { migrations: { output } } });
    story.emit('deploy', 'StateEntered', DEPLOY.startServices);
    expect(story.texts.at(-2)).toBe(
      'Migration 0002_b.sql, line 7, failed, and no migration was applied: create table x (): relation "x" already exists (SQLSTATE 42P07)',
    );
    const states = story.run.phases.all.map(({ key, state }) => [key, state]);
    expect(states).toContainEqual(['migrate', 'failed']);
    expect(states).toContainEqual(['build', 'skipped']);
  });

  test('a failed critical index marks the builds as failed', () => {
    const story = building();
    story.emit('maintenanceWindow', 'StateExited', WINDOW.buildIndexes);
    story.emit('maintenanceWindow', 'StateEntered', WINDOW.verdicts.criticalIndexFailed);
    expect(story.run.phases.find('build')?.state).toBe('failed');
  });

  test('a refusal shows its reason', () => {
    const story = new Story(registry);
    story.start();
    story.decide('refused', 'mode must be one of deploy, plan.');
    expect(story.lines.at(-1)).toEqual({
      kind: 'failure',
      text: 'Decision: refused, nothing was stopped or changed. mode must be one of deploy, plan.',
    });
    expect(story.run.phases.find('preflight')?.state).toBe('failed');
  });

  test('a failed child execution shows the message from its nested cause', () => {
    const story = new Story(registry);
    const inner = JSON.stringify({ errorType: 'Error', errorMessage: 'the disk is full' });
    const cause = JSON.stringify({ Status: 'FAILED', Error: 'Boom', Cause: inner });
    story.emit('deploy', 'StateFailed', DEPLOY.maintenanceWindow, { error: 'States.TaskFailed', cause });
    expect(story.texts).toEqual(['Maintenance Window: States.TaskFailed: Boom: the disk is full']);
  });

  test('the report shows the totals and the alert its subject', () => {
    const story = new Story(registry);
    story.start();
    story.emit('deploy', 'StateEntered', DEPLOY.report);
    const totals = { created: 3, skipped: 1, failed: 1, remaining: 0 };
    story.emit('deploy', 'StateExited', DEPLOY.report, { output: { report: { totals } } });
    story.emit('deploy', 'StateEntered', DEPLOY.alert);
    story.emit('deploy', 'StateExited', DEPLOY.alert, { output: { alert: { subject: 'deploy FAILED' } } });
    story.emit('deploy', 'ExecutionFailed', null, { error: 'DeployFailed' });
    expect(story.texts.slice(-4)).toEqual([
      'Report',
      '3 created, 1 already present, 1 failed, 0 remaining',
      'Alert',
      'Alert sent: deploy FAILED',
    ]);
    expect(story.run.outcome).toBe('failed');
  });

  test('an aborted run stays aborted when a second execution starts the services again', () => {
    const story = building();
    story.emit('deploy', 'ExecutionAborted', null);
    story.emit('startServices', 'ExecutionStarted', null, { parent: null });
    expect(story.texts.slice(-2)).toEqual(['Execution d was aborted', 'Start services']);
    story.emit('startServices', 'ExecutionSucceeded', null, { parent: null });
    expect(story.run.outcome).toBe('aborted');
    expect(story.run.phases.find('start')?.state).toBe('done');
  });

  test('reading saved state that does not exist makes no warning', () => {
    const story = new Story(registry);
    const error = 'Ssm.ParameterNotFoundException';
    story.emit('startServices', 'StateFailed', START_SERVICES.readState, {
      error,
      within: [{ state: START_SERVICES.startServices, index: 0 }],
    });
    expect(story.lines).toEqual([]);
  });
});

describe('many builds that fail for the same reason', () => {
  const names = Array.from({ length: 30 }, (_, n) => `idx_t${n}_a`);

  /** All indexes fail with this error. @returns the lines about failures */
  function failAll(error: string, message: (id: string) => string, criticalFrom = names.length) {
    const story = new Story(registryOf(...names.map((_, n) => (n < criticalFrom ? `t${n}.a` : `t${n}.key`))));
    const ids = story.run.registry.map(({ name }) => name);
    story.start();
    story.plan(ids.map((id, n) => ({ table: `t${n}`, indexes: [id] })));
    for (const id of ids) {
      story.begin(id);
      story.fail(id, error, message(id));
      if (error !== 'BuildFailed') continue;
      story.catchError(id);
      story.exit(id, 'failed', BUILD_INDEXES.settleIndex);
    }
    return story.lines.filter(({ kind }) => kind === 'failure' || kind === 'warning');
  }

  const missing = (id: string) =>
    `Index ${id}: relation "public.${id.replace(/^idx_(t\d+)_.*/, '$1')}" does not exist (SQLSTATE 42P01)`;

  test('show the message once, and a terminal keeps only the first line', () => {
    const lines = failAll('BuildFailed', missing);
    expect(lines.slice(0, 2)).toEqual([
      {
        kind: 'failure',
        text: '[1/30] idx_t0_a failed: relation "public.t0" does not exist (SQLSTATE 42P01)',
      },
      { kind: 'failure', text: '[2/30] idx_t1_a failed for the same cause as idx_t0_a', logOnly: true },
    ]);
    expect(lines).toHaveLength(30);
    expect(lines.filter(({ logOnly }) => !logOnly)).toHaveLength(1);
  });

  test('keep the lines of critical indexes', () => {
    const kept = failAll('BuildFailed', missing, 28).filter(({ logOnly }) => !logOnly);
    expect(kept.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^\[1\/30\] idx_t0_a failed: /),
      '[29/30] idx_t28_key failed for the same cause as idx_t0_a',
      '[30/30] idx_t29_key failed for the same cause as idx_t0_a',
    ]);
  });

  test('show a failed attempt once for all indexes that the same session blocks', () => {
    const lines = failAll(
      'LockNotAvailable',
      (id) =>
        `Could not acquire the lock on table ${id.split('_')[1]} within 3 s. Blocked by pid 7 (psql, active).`,
    );
    expect(lines[1]).toEqual({
      ...{ kind: 'warning', logOnly: true },
      text: '[2/30] idx_t1_a attempt 1 failed: LockNotAvailable, for the same cause as idx_t0_a',
    });
    expect(lines.filter(({ logOnly }) => !logOnly)).toHaveLength(1);
  });

  test('of different causes: a terminal keeps 20 lines', () => {
    const letters = (id: string) =>
      [...id].map((character) => character.replace(/\d/, (digit) => 'abcdefghij'[Number(digit)] ?? ''));
    const lines = failAll('BuildFailed', (id) => `no ${letters(id.slice(5, -2)).join('')} today`);
    expect(lines.filter(({ logOnly }) => !logOnly)).toHaveLength(20);
    expect(lines.every(({ text }) => text.includes(' today'))).toBe(true);
  });
});
