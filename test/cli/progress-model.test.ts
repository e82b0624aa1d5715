import { describe, expect, test } from 'vitest';
import { registryOf, Story, second } from './progress-events.ts';

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

describe('the builds', () => {
  test('are counted with their lanes and with what is already there', () => {
    const story = building();
    expect(story.texts.at(-1)).toBe('3 indexes to build in 2 lanes, 1 already there');
    expect(story.run.builds.build.lanes.map(({ table, indexes }) => [table, indexes.length])).toEqual([
      ['deals', 2],
      ['users', 1],
    ]);
  });

  test('a plan with nothing to build says so', () => {
    const story = new Story(registry);
    story.plan([], { present: 4 });
    expect(story.texts.at(-1)).toBe('Nothing to build, 4 already there');
  });

  test('the parts of a partitioned table’s index are lanes of their own', () => {
    const story = new Story(registry);
    story.plan([
      { table: 'deals_1', indexes: ['idx_deals_a @ deals_1'] },
      { table: 'deals_2', indexes: ['idx_deals_a @ deals_2'] },
    ]);
    expect(story.texts.at(-1)).toBe('2 indexes to build in 2 lanes, 0 already there');
    story.begin('idx_deals_a @ deals_2');
    expect(story.texts.at(-1)).toBe('[1/2] idx_deals_a @ deals_2 on deals_2 (non-critical): deals by a');
    const row = { pid: 1, schema: 'public', table: 'deals_2', index: 'deals_2_a_idx', waitsFor: null };
    story.run.updateBuilds([{ ...row, phase: 'initializing', fraction: null }], second(1));
    expect(story.run.builds.build.building('deals_2')?.phase).toBe('initializing');
  });

  test('a later round adds to the total', () => {
    const story = building();
    story.plan([{ table: 'leads', indexes: ['idx_leads_c'] }]);
    expect(story.texts.at(-1)).toBe('Another 1 index to build in 1 lane');
    story.begin('idx_leads_c');
    expect(story.texts.at(-1)).toBe('[1/4] idx_leads_c on leads (non-critical): leads by c');
  });

  test('an index is told of with its number, table, weight and description, then with what became of it', () => {
    const story = building();
    story.begin('idx_deals_a');
    story.begin('idx_users_key');
    story.now = 1.25;
    story.answer('idx_users_key', 'repaired');
    story.now = 2;
    story.answer('idx_deals_a', 'built');
    story.begin('idx_deals_b');
    story.answer('idx_deals_b', 'present');
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

  test('a lock conflict is told with its attempt, its name and who blocks', () => {
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
    story.answer('idx_deals_a', 'built');
    expect(story.texts.slice(-2)).toEqual([
      '[1/3] idx_deals_a attempt 2 begins',
      '[1/3] idx_deals_a created in 4.0 s at attempt 2',
    ]);
  });

  test('what no attempt can mend is told once, when the index is given up', () => {
    const story = building();
    story.begin('idx_deals_a');
    const before = story.lines.length;
    story.fail('idx_deals_a', 'BuildFailed', 'Index idx_deals_a: column "a" does not exist (SQLSTATE 42703)');
    story.giveUp('idx_deals_a');
    expect(story.run.builds.build.lanes[0]?.indexes[0]?.state).toBe('settling');
    story.answer('idx_deals_a', 'failed', 'Settle Index');
    expect(story.lines.slice(before)).toEqual([
      { kind: 'failure', text: '[1/3] idx_deals_a failed: column "a" does not exist (SQLSTATE 42703)' },
    ]);
    expect(story.run.builds.build.count('failed')).toBe(1);
  });

  test('an index that the window has no time for is left for after the start', () => {
    const story = building();
    story.begin('idx_deals_a');
    story.answer('idx_deals_a', 'missing', 'Check Index', 'left');
    expect(story.texts.at(-1)).toBe('[1/3] idx_deals_a is left for after the start');
    expect(story.run.builds.build.count('left')).toBe(1);
  });

  test('a build whose session ended too soon is told of and begins again', () => {
    const story = building();
    story.begin('idx_deals_a');
    story.answer('idx_deals_a', 'building', 'Build Index', 'building');
    story.answer('idx_deals_a', 'building', 'Check Index', 'interrupted');
    story.begin('idx_deals_a');
    expect(story.texts.slice(-2)).toEqual([
      '[1/3] idx_deals_a attempt 1 failed: BuildInterrupted: the session that built it ended too soon',
      '[1/3] idx_deals_a attempt 2 begins',
    ]);
  });

  test('a long one is told of now and then, with phase, percent and whom it waits for', () => {
    const story = building();
    story.begin('idx_deals_a');
    const row = {
      ...{ pid: 1, schema: 'public', table: 'deals', index: 'idx_deals_a' },
      ...{ phase: 'building index: scanning table', fraction: 0.42, waitsFor: null },
    };
    const update = (at: number, more: object = {}) =>
      story.run.updateBuilds([{ ...row, ...more }], second(at)).map(({ text }) => text);
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

  test('another session’s build on the same table is not taken for ours', () => {
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
    expect(story.run.updateBuilds([row], second(60))).toEqual([]);
    expect(story.run.builds.build.lanes[0]?.indexes[0]?.fraction).toBeNull();
  });
});

describe('the phases', () => {
  test('services are told of with their counts when they stop and when they are steady', () => {
    const story = new Story(registry);
    story.start();
    story.decide('deploy');
    story.tell('maintenanceWindow', 'StateEntered', 'Stop Services');
    const remembered = { current: { desiredCount: 2, scaling: null } };
    story.service('maintenanceWindow', 'StateExited', 'Record Current State', 'api', { remembered });
    story.service('maintenanceWindow', 'StateEntered', 'Stop Tasks', 'api');
    story.now = 1.5;
    story.service('maintenanceWindow', 'StateExited', 'Service Stopped', 'api', {});
    story.tell('maintenanceWindow', 'StateExited', 'Stop Services');
    story.tell('deploy', 'StateEntered', 'Start Services');
    story.service('startServices', 'StateExited', 'Read Saved State', 'api', { memory: { value: remembered } });
    story.service('startServices', 'StateEntered', 'Start Tasks', 'api');
    story.service('startServices', 'StateExited', 'Check Starting Tasks', 'api', {
      counts: { running: 1 },
    });
    story.now = 3;
    story.service('startServices', 'StateExited', 'Service Steady', 'api', {});
    expect(story.texts).toEqual([
      'Preflight',
      'Decision: there is something to do: services stop for it',
      'Stop services',
      'api stops (2 tasks)',
      'api stopped after 1.5 s (2 tasks)',
      'Start services',
      'api starts (2 tasks)',
      'api is steady at 2 tasks after 1.5 s',
    ]);
  });

  test('services that do not stop or do not become steady are told of as failures', () => {
    const story = new Story(registry);
    const counts = { counts: { running: 1 } };
    story.service('maintenanceWindow', 'StateExited', 'Check Stopping Tasks', 'api', counts);
    story.service('maintenanceWindow', 'StateExited', 'Service Not Stopped', 'api', {});
    story.service('maintenanceWindow', 'StateExited', 'Service Not Stopped', 'rule', {});
    story.service('startServices', 'StateExited', 'Service Not Steady', 'api', {
      memory: { value: { current: { desiredCount: 2 } } },
    });
    story.service('startServices', 'StateExited', 'Service Not Steady', 'rule', {});
    expect(story.lines).toEqual([
      { kind: 'failure', text: 'api did not stop in time: 1 task still run' },
      { kind: 'failure', text: 'rule did not stop in time' },
      { kind: 'heading', text: 'Start services' },
      { kind: 'failure', text: 'api did not become steady in time: 1 of 2 tasks run' },
      { kind: 'failure', text: 'rule did not become steady in time' },
    ]);
  });

  test('rules and mappings are told of without tasks', () => {
    const story = new Story(registry);
    story.service('maintenanceWindow', 'StateEntered', 'Disable Rule', 'nightly');
    story.service('maintenanceWindow', 'StateExited', 'Service Stopped', 'nightly', {});
    story.service('startServices', 'StateEntered', 'Enable Rule', 'nightly');
    story.now = 2;
    story.service('startServices', 'StateExited', 'Service Steady', 'nightly', {});
    // It was disabled before, so nothing enables it.
    story.service('startServices', 'StateExited', 'Service Steady', 'queue', {});
    expect(story.texts).toEqual([
      'nightly stops',
      'nightly stopped after 0 ms',
      'Start services',
      'nightly starts',
      'nightly is steady after 2.0 s',
      'queue stays as it was before',
    ]);
  });

  test('a service that cannot be stopped is told of with the reason', () => {
    const story = new Story(registry);
    story.tell('maintenanceWindow', 'StateEntered', 'Check Services');
    const refused = { name: 'web', usable: false, reason: 'there is no such ECS service' };
    story.service('maintenanceWindow', 'StateExited', 'Service Cannot Be Stopped', 'web', refused);
    story.tell('maintenanceWindow', 'StateExited', 'Check Services');
    story.tell('maintenanceWindow', 'StateEntered', 'Services Cannot Be Stopped');
    expect(story.texts).toEqual(['Stop services', 'web cannot be stopped: there is no such ECS service']);
    expect(story.run.phases.find('stop')?.state).toBe('failed');
  });

  test('a service that an earlier deploy left stopped is told of with the earlier count', () => {
    const story = new Story(registry);
    const remembered = (desiredCount: number) => ({ remembered: { current: { desiredCount } } });
    story.service('maintenanceWindow', 'StateExited', 'Record Current State', 'api', remembered(0));
    story.service('maintenanceWindow', 'StateExited', 'Use Earlier State', 'api', remembered(3));
    story.service('maintenanceWindow', 'StateEntered', 'Stop Tasks', 'api');
    expect(story.texts).toEqual([
      'api is to start as an earlier deploy remembered it',
      'api stops (3 tasks)',
    ]);
  });

  test('sessions that are waited for are named, once for each change', () => {
    const story = new Story(registry);
    const look = (remaining: number, sessions: string) =>
      story.tell('maintenanceWindow', 'StateExited', 'Check Sessions', {
        output: { sessions: { output: { remaining, sessions } } },
      });
    story.tell('maintenanceWindow', 'StateEntered', 'Begin Drain');
    story.tell('maintenanceWindow', 'StateEntered', 'Check Sessions');
    look(2, 'pid 7 (api), pid 8 (api)');
    look(2, 'pid 7 (api), pid 8 (api)');
    look(1, 'pid 8 (api)');
    look(0, '');
    story.tell('maintenanceWindow', 'StateExited', 'No Sessions Left');
    expect(story.texts).toEqual([
      'Wait for sessions',
      'Waiting for 2 sessions of the application: pid 7 (api), pid 8 (api)',
      'Waiting for 1 session of the application: pid 8 (api)',
      'No session of the application is left',
    ]);
    expect(story.run.phases.find('drain')).toMatchObject({ state: 'done', result: 'none left' });
  });

  test('sessions that stay are told of as the failure', () => {
    const story = new Story(registry);
    story.tell('maintenanceWindow', 'StateEntered', 'Begin Drain');
    const output = { verdict: 'sessions-remain', sessions: 'pid 8 (notebook)' };
    story.tell('maintenanceWindow', 'StateExited', 'Sessions Remain', { output });
    expect(story.lines.at(-1)).toEqual({
      kind: 'failure',
      text: 'Sessions of the application remain: pid 8 (notebook)',
    });
    expect(story.run.phases.find('drain')?.state).toBe('failed');
  });

  test('with nothing to do, services are told of only if one was left stopped', () => {
    const quiet = new Story(registry);
    const left = new Story(registry);
    for (const story of [quiet, left]) {
      story.start();
      story.decide('nothing');
      story.tell('deploy', 'StateEntered', 'Start Services');
    }
    quiet.service('startServices', 'StateExited', 'Nothing Saved', 'api', {});
    left.service('startServices', 'StateEntered', 'Start Tasks', 'api');
    for (const story of [quiet, left]) story.tell('deploy', 'StateExited', 'Start Services');
    expect(quiet.texts.at(-1)).toBe('Decision: nothing to do, the services go on');
    expect(quiet.run.phases.find('start')).toBeUndefined();
    expect(left.texts.slice(-2)).toEqual(['Start services', 'api starts']);
    expect(left.run.phases.find('start')?.state).toBe('done');
  });

  test('a refused deploy tells of no totals', () => {
    const story = new Story(registry);
    story.start();
    story.decide('refused', 'Another deploy runs.');
    story.tell('deploy', 'StateEntered', 'Report');
    const totals = { created: 0, skipped: 0, failed: 0, remaining: 0 };
    story.tell('deploy', 'StateExited', 'Report', { output: { report: { totals } } });
    expect(story.texts.at(-1)).toBe('Report');
    expect(story.run.phases.find('report')).toMatchObject({ state: 'done', result: '' });
  });

  test('every applied migration is told of', () => {
    const story = new Story(registry);
    story.tell('maintenanceWindow', 'StateEntered', 'Run Migrations');
    const answer = { status: 'applied', applied: ['0001_a', '0002_b'], pending: [], failure: null };
    const output = { status: 'applied', runner: { name: 'sql' }, answer };
    story.tell('maintenanceWindow', 'StateExited', 'Run Migrations', { output: { migrations: { output } } });
    expect(story.texts).toEqual([
      'Run migrations',
      '0001_a applied',
      '0002_b applied',
      '2 migrations applied',
    ]);
  });

  test("the application's own task or function is told of without names, unless it gives them", () => {
    const tell = (name: string, answer: unknown) => {
      const story = new Story(registry);
      story.tell('maintenanceWindow', 'StateEntered', 'Run Migrations');
      const output = { migrations: { output: { status: 'applied', runner: { name }, answer } } };
      story.tell('maintenanceWindow', 'StateExited', 'Run Migrations', { output });
      return story.texts.slice(1);
    };

    expect(tell('ecs-task', { task: 'arn' })).toEqual(["The migration's task succeeded"]);
    expect(tell('lambda', null)).toEqual(["The migration's function succeeded"]);
    expect(tell('lambda', { applied: ['a', 1] })).toEqual(['a applied', '1 migration applied']);
  });

  test('a migration that fails is told of with its file and reason, and the builds are skipped', () => {
    const story = new Story(registry);
    story.start();
    story.decide('deploy');
    story.tell('maintenanceWindow', 'StateEntered', 'Run Migrations');
    const failure = {
      ...{ file: '0002_b', line: 7, statement: 'create table x ()' },
      sqlstate: '42P07',
      message: 'relation "x" already exists (SQLSTATE 42P07)',
    };
    const answer = { status: 'failed', applied: [], pending: ['0002_b'], failure };
    const output = { status: 'failed', runner: { name: 'sql' }, answer };
    story.tell('maintenanceWindow', 'StateExited', 'Run Migrations', { output: { migrations: { output } } });
    story.tell('deploy', 'StateEntered', 'Start Services');
    expect(story.texts.at(-2)).toBe(
      'Migration 0002_b.sql, line 7, failed, nothing of it was applied: create table x (): relation "x" already exists (SQLSTATE 42P07)',
    );
    const states = story.run.phases.all.map(({ key, state }) => [key, state]);
    expect(states).toContainEqual(['migrate', 'failed']);
    expect(states).toContainEqual(['build', 'skipped']);
  });

  test('a lost critical index marks the builds as failed', () => {
    const story = building();
    story.tell('maintenanceWindow', 'StateExited', 'Build Indexes');
    story.tell('maintenanceWindow', 'StateEntered', 'Critical Index Failed');
    expect(story.run.phases.find('build')?.state).toBe('failed');
  });

  test('a refusal is told of with its reason', () => {
    const story = new Story(registry);
    story.start();
    story.decide('refused', 'mode must be one of deploy, plan.');
    expect(story.lines.at(-1)).toEqual({
      kind: 'failure',
      text: 'Decision: refused, nothing was stopped or changed. mode must be one of deploy, plan.',
    });
    expect(story.run.phases.find('preflight')?.state).toBe('failed');
  });

  test('a child that breaks is told of with the reason out of its nested cause', () => {
    const story = new Story(registry);
    const inner = JSON.stringify({ errorType: 'Error', errorMessage: 'the disk is full' });
    const cause = JSON.stringify({ Status: 'FAILED', Error: 'Boom', Cause: inner });
    story.tell('deploy', 'StateFailed', 'Maintenance Window', { error: 'States.TaskFailed', cause });
    expect(story.texts).toEqual(['Maintenance Window: States.TaskFailed: Boom: the disk is full']);
  });

  test('report and alert end the story', () => {
    const story = new Story(registry);
    story.start();
    story.tell('deploy', 'StateEntered', 'Report');
    const totals = { created: 3, skipped: 1, failed: 1, remaining: 0 };
    story.tell('deploy', 'StateExited', 'Report', { output: { report: { totals } } });
    story.tell('deploy', 'StateEntered', 'Alert');
    story.tell('deploy', 'StateExited', 'Alert', { output: { alert: { subject: 'deploy FAILED' } } });
    story.tell('deploy', 'ExecutionFailed', null, { error: 'DeployFailed' });
    expect(story.texts.slice(-4)).toEqual([
      'Report',
      '3 created, 1 already there, 1 failed, 0 remaining',
      'Alert',
      'Alert sent: deploy FAILED',
    ]);
    expect(story.run.outcome).toBe('failed');
  });

  test('a run that was stopped stays so when the services are started by an execution of their own', () => {
    const story = building();
    story.tell('deploy', 'ExecutionAborted', null);
    story.tell('startServices', 'ExecutionStarted', null, { parent: null });
    expect(story.texts.slice(-2)).toEqual(['Execution d was stopped', 'Start services']);
    story.tell('startServices', 'ExecutionSucceeded', null, { parent: null });
    expect(story.run.outcome).toBe('aborted');
    expect(story.run.phases.find('start')?.state).toBe('done');
  });

  test('asking for what is not remembered is no trouble', () => {
    const story = new Story(registry);
    const error = 'Ssm.ParameterNotFoundException';
    story.tell('startServices', 'StateFailed', 'Read Saved State', {
      error,
      within: [{ state: 'Start Services', index: 0 }],
    });
    expect(story.lines).toEqual([]);
  });
});
