import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskError } from '../../lib/local/engine/errors.ts';
import { LOCAL_NAMES } from '../../lib/local/local-environment.ts';
import { lockName } from '../../lib/workflow/deploy-lock.ts';
import { BUILD_INDEXES, DEPLOY, ECS } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, CUSTOM_SERVICE, readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const ORDERS = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  description: 'orders by status',
};
const PEOPLE = {
  name: 'people_email_key',
  sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_email_key ON people (email)',
  critical: true,
  description: 'sign-in',
};
const MIGRATIONS = { '0001_total': 'alter table orders add column total numeric;' };
const PLAN = { mode: 'plan' };
const LOCK = lockName(LOCAL_NAMES);

let database: TestDatabase;
let opened: TestWorkflow | undefined;
/** The calls of Task states: their resources. */
let calls: string[];

beforeEach(async () => {
  calls = [];
  CUSTOM_SERVICE.reset();
  database = await createDatabase();
  await database.query(
    'create table orders (id int primary key, status text); create table people (id int, email text)',
  );
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [ORDERS, PEOPLE],
    migrations: MIGRATIONS,
    ...options,
    environment: { services: ALL_KINDS, ...options.environment },
    aws: { ...ALL_KINDS_IN_AWS, ...options.aws },
    refuse: (resource, parameters) => {
      calls.push(resource);
      return options.refuse?.(resource, parameters);
    },
  });
  return opened;
}

const stateOf = ({ workflow }: TestWorkflow) => workflow.aws.state;

/** Everything that a deploy can change in AWS. */
function readAws(workflow: TestWorkflow) {
  const { ecs, scaling, ssm, sns, eventBridge, cloudWatch, lambda, scheduler } = structuredClone(
    stateOf(workflow),
  );
  // The time of a task's connection changes by itself.
  const services = ecs.services.map(({ stoppedTasks: _, tasks, ...service }) => ({
    ...service,
    tasks: tasks.map(({ id }) => id),
  }));
  // Each read counts in them.
  const rules = eventBridge.rules.map(({ staleReads: _, ...rule }) => rule);
  const schedules = scheduler.schedules.map(({ stale: _, ...schedule }) => schedule);
  const custom = CUSTOM_SERVICE.capacity;
  return { services, scaling, ssm, sns, rules, cloudWatch, lambda, schedules, custom };
}

/** Everything that a deploy can change in the database. */
async function readDatabase() {
  const relations = `
    select n.nspname, c.relname, c.relkind, c.relfilenode, c.relowner, c.relacl::text
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname !~ '^pg_(toast|temp)'
     order by 1, 2`;
  return {
    relations: await database.query(relations),
    namespaces: await database.query('select nspname, nspacl::text from pg_namespace order by 1'),
    roles: await database.query(
      "select rolname, rolconfig::text from pg_roles where rolname like current_database() || '%' order by 1",
    ),
    rows: await database.query('select count(*) from orders union all select count(*) from people'),
  };
}

const entered = (workflow: TestWorkflow, state: string) =>
  workflow.events.filter((event) => event.type === 'StateEntered' && event.state === state);

const serviceOf = (report: { services: { name: string }[] }, name: string) =>
  report.services.find((service) => service.name === name);

describe('a plan of a deploy that would succeed', () => {
  test('looks everything up, and changes nothing in AWS and in the database', async () => {
    const workflow = await open();
    const before = { aws: readAws(workflow), database: await readDatabase() };
    calls = [];

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    expect({ aws: readAws(workflow), database: await readDatabase() }).toEqual(before);
    expect([...new Set(calls)].toSorted()).toEqual([
      'arn:aws:states:::aws-sdk:applicationautoscaling:describeScalableTargets',
      'arn:aws:states:::aws-sdk:ecs:describeServices',
      'arn:aws:states:::aws-sdk:eventbridge:describeRule',
      'arn:aws:states:::aws-sdk:lambda:getEventSourceMapping',
      'arn:aws:states:::aws-sdk:scheduler:getSchedule',
      'arn:aws:states:::aws-sdk:ssm:getParameter',
      'arn:aws:states:::aws-sdk:ssm:getParametersByPath',
      'arn:aws:states:::lambda:invoke',
      'arn:aws:states:::states:startExecution.sync:2',
    ]);
    expect(CUSTOM_SERVICE.calls.map(({ action }) => action)).toEqual(['check']);
    const unchanged = { stoppedAt: null, startedAt: null, status: 'unchanged', error: null };
    const usable = { ...unchanged, usable: true, reason: null, leftStopped: false };
    expect(report).toMatchObject({
      status: 'succeeded',
      decision: 'deploy',
      refusal: null,
      warnings: [],
      summary:
        'A deploy would apply 1 migration (0001_total). It would build 2 indexes (idx_orders_status, people_email_key). It would stop and start the services api, worker, nightly, retired, mailer and 3 more.',
    });
    expect(report.services).toEqual([
      { name: 'api', ...usable, desiredCount: 2, scaling: true },
      { name: 'worker', ...usable, desiredCount: 1, scaling: false },
      { name: 'nightly', ...usable },
      { name: 'retired', ...usable },
      { name: 'mailer', ...usable },
      { name: 'invoices', ...usable },
      { name: 'old-export', ...usable },
      { name: 'jobs', ...usable },
    ]);
    expect((await workflow.deploy()).status).toBe('SUCCEEDED');
  });

  test('after a deploy says that nothing is to be done, unless the input forces a deploy', async () => {
    const workflow = await open();
    await workflow.deploy();

    const { report } = await workflow.deploy(PLAN);

    expect(report).toMatchObject({ decision: 'nothing', refusal: null });
    expect(report.summary).toMatch(
      /^No migrations are pending\. No index is to be built\. It would not stop the services /,
    );
    expect((await workflow.deploy({ ...PLAN, force: true })).report).toMatchObject({ decision: 'deploy' });
  });

  test('of an environment without services checks none', async () => {
    const workflow = await open({ environment: { services: [] } });

    const { report } = await workflow.deploy(PLAN);

    expect(report).toMatchObject({ status: 'succeeded', refusal: null, services: [] });
    expect(entered(workflow, DEPLOY.rehearseWindow)).toEqual([]);
  });
});

describe('services that could not be stopped', () => {
  test.each<[string, string, string, (workflow: TestWorkflow) => void]>([
    [
      'that does not exist',
      'worker',
      'the ECS service does not exist: check "cluster" and "service" of its entry in cdk.json',
      (workflow) => stateOf(workflow).ecs.services.splice(1, 1),
    ],
    [
      'that is a daemon',
      'worker',
      'it is a DAEMON service, which cannot be scaled to 0: remove it from the configuration',
      (workflow) => Object.assign(stateOf(workflow).ecs.services[1] ?? {}, { schedulingStrategy: 'DAEMON' }),
    ],
    [
      'whose last deployment failed',
      'worker',
      'its last ECS deployment failed, and ECS starts no task for a failed deployment',
      (workflow) =>
        Object.assign(stateOf(workflow).ecs.services[1]?.deployments[0] ?? {}, { rolloutState: 'FAILED' }),
    ],
    [
      'without its scaling',
      'api',
      'it has no Application Auto Scaling, but "scaling" is true: set it to false',
      (workflow) => stateOf(workflow).scaling.targets.splice(0),
    ],
    [
      'of another kind that does not exist',
      'nightly',
      'the EventBridge rule does not exist: check "rule" and "eventBus" of its entry in cdk.json',
      (workflow) => stateOf(workflow).eventBridge.rules.splice(0, 1),
    ],
    [
      'whose schedule runs once',
      'invoices',
      'it runs only once ("at"), and a run at a time when it is disabled would be lost: remove it from the configuration',
      (workflow) =>
        Object.assign(stateOf(workflow).scheduler.schedules[0] ?? {}, {
          ScheduleExpression: 'at(2098-11-20T13:00:00)',
        }),
    ],
    [
      'whose schedule has another role',
      'invoices',
      'the role of its target is arn:aws:iam::000000000000:role/other',
      (workflow) =>
        Object.assign(stateOf(workflow).scheduler.schedules[0]?.Target ?? {}, {
          RoleArn: 'arn:aws:iam::000000000000:role/other',
        }),
    ],
    [
      'whose function refuses',
      'jobs',
      'its group is being replaced',
      () =>
        CUSTOM_SERVICE.answer({
          check: { returns: { usable: false, reason: 'its group is being replaced' } },
        }),
    ],
    [
      'whose function fails',
      'jobs',
      'it could not be read: Broken: the group does not exist',
      () => CUSTOM_SERVICE.answer({ check: { throws: 'Broken', message: 'the group does not exist' } }),
    ],
    [
      'whose function does not answer as documented',
      'jobs',
      'its function did not answer "check" as documented',
      () => CUSTOM_SERVICE.answer({ check: { returns: 'usable' } }),
    ],
  ])('a service %s: the plan names it, and succeeds', async (_what, name, reason, change) => {
    const workflow = await open();
    change(workflow);
    const before = readAws(workflow);

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    expect(readAws(workflow)).toEqual(before);
    expect(serviceOf(report, name)).toMatchObject({ usable: false, reason: expect.stringContaining(reason) });
    expect(report.services.filter(({ usable }) => usable)).toHaveLength(ALL_KINDS.length - 1);
    const refusal = `Services cannot be stopped. ${name}: ${reason}`;
    expect(report.refusal).toContain(refusal);
    expect(report.warnings).toEqual([expect.stringContaining(`A deploy would be refused. ${refusal}`)]);
    expect(report.summary).toMatch(
      /^A deploy would be refused now\. Services cannot be stopped\. .* Otherwise: A deploy would apply 1 migration/,
    );
    expect(workflow.alerts).toEqual([]);

    const { cause } = await workflow.deploy();
    expect(cause).toContain(
      `Services cannot be stopped, so nothing was stopped or changed. ${name}: ${reason}`,
    );
  });

  test('two services for two reasons, in one plan', async () => {
    const workflow = await open();
    stateOf(workflow).scaling.targets.splice(0);
    stateOf(workflow).lambda.mappings.splice(0);

    const { report } = await workflow.deploy(PLAN);

    expect(report.refusal).toMatch(/api: it has no Application Auto Scaling.*; mailer: .*does not exist/);
  });

  test('a role that may not describe a service, in a plan and in a deploy', async () => {
    const denied = 'User is not authorized to perform: ecs:DescribeServices';
    const workflow = await open({
      refuse: (resource, parameters) =>
        resource.endsWith(':describeServices') && JSON.stringify(parameters).includes('worker')
          ? new TaskError('Ecs.AccessDeniedException', denied)
          : undefined,
    });

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    const reason = `it could not be read: Ecs.AccessDeniedException: ${denied}`;
    expect(serviceOf(report, 'worker')).toMatchObject({ usable: false, reason });
    expect(serviceOf(report, 'api')).toMatchObject({ usable: true });
    expect(report.refusal).toBe(`Services cannot be stopped. worker: ${reason}.`);
    const deploy = await workflow.deploy();
    expect(deploy.cause).toContain(`nothing was stopped or changed. worker: ${reason}.`);
    expect(entered(workflow, DEPLOY.startServices)).toEqual([]);
  });

  test('a check that fails as a whole is a reason for each service', async () => {
    const workflow = await open({
      refuse: (resource) =>
        resource.endsWith(':getParametersByPath')
          ? new TaskError('Ssm.AccessDeniedException', 'not authorized')
          : undefined,
    });

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    expect(report.refusal).toContain('The services could not be checked: ');
    for (const service of report.services)
      expect(service).toMatchObject({
        usable: false,
        reason: expect.stringContaining('it could not be checked: '),
      });
  });

  test('are no reason for a refusal when the deploy would not stop them', async () => {
    const workflow = await open({ environment: { window: 'when-needed' }, migrations: {} });
    stateOf(workflow).scaling.targets.splice(0);

    const { report } = await workflow.deploy(PLAN);

    expect(report).toMatchObject({ decision: 'indexes', refusal: null });
    expect(serviceOf(report, 'api')).toMatchObject({ usable: false });
    expect(report.warnings).toEqual([
      expect.stringMatching(/^Services cannot be stopped\. api: .* A deploy would not stop them now, /),
    ]);
    expect((await workflow.deploy()).status).toBe('SUCCEEDED');
  });
});

describe('an ECS deployment that is running', () => {
  const run = (workflow: TestWorkflow) =>
    Object.assign(stateOf(workflow).ecs.services[1]?.deployments[0] ?? {}, {
      rolloutState: 'IN_PROGRESS',
      bakes: true,
    });

  test('is reported, and the plan does not wait for it', async () => {
    const workflow = await open();
    run(workflow);

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    expect(entered(workflow, ECS.waitForDeployment)).toEqual([]);
    expect(serviceOf(report, 'worker')).toMatchObject({
      usable: false,
      reason:
        'it is in the middle of an ECS deployment: a deploy waits until that has ended, for at most "deploymentMinutes"',
    });
    expect(report).toMatchObject({
      refusal: null,
      warnings: [
        'A deploy would wait before it stops the services: worker is in the middle of an ECS deployment.',
      ],
    });
  });

  test('is a reason for a refusal if no deploy waits for it', async () => {
    const workflow = await open({ environment: { deploymentMinutes: 0 } });
    run(workflow);

    const { report } = await workflow.deploy(PLAN);

    expect(report.refusal).toContain(
      'Services cannot be stopped. worker: it is in the middle of an ECS deployment',
    );
  });
});

describe('what a plan finds in the database', () => {
  test('a role without rights', async () => {
    await database.query("create role weak login password 'weak'; create table notes (id int)");
    const url = Object.assign(new URL(database.url), { username: 'weak', password: 'weak' });
    try {
      const workflow = await open({
        databaseUrl: url.href,
        asSuperuser: true,
        services: 'none',
        environment: { services: [] },
      });

      const { status, report } = await workflow.deploy(PLAN);

      expect(status).toBe('SUCCEEDED');
      expect(report.refusal).toMatch(
        /The role weak does not have the privileges that the deploy needs\. .*GRANT /,
      );
    } finally {
      await opened?.close();
      opened = undefined;
      await database.query('drop owned by weak; drop role weak');
    }
  });

  test('a table that does not exist, and services that cannot be stopped, in one plan', async () => {
    await database.query('drop table people');
    const workflow = await open({ migrations: {} });
    stateOf(workflow).scaling.targets.splice(0);

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    expect(report.refusal).toMatch(
      /no migration is pending that could create it\. .*Services cannot be stopped\. api: /,
    );
    expect(report.warnings).toEqual([
      expect.stringMatching(/^A deploy would be refused\. This database does not have/),
      expect.stringMatching(/^A deploy would be refused\. Services cannot be stopped\. api/),
    ]);
  });

  test('a critical index that cannot be built', async () => {
    await database.query(`
      create foreign data wrapper dummy; create server elsewhere foreign data wrapper dummy;
      create table events (id int, kind text) partition by range (id);
      create foreign table archive partition of events for values from (0) to (9) server elsewhere`);
    const sql = 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS by_kind ON events (id, kind)';
    const workflow = await open({ migrations: {}, indexes: [{ ...PEOPLE, name: 'by_kind', sql }] });

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    expect(report.refusal).toContain('partition archive is a foreign table');
    expect((await workflow.deploy()).cause).toContain(report.refusal);
  });

  test('a role whose transactions are read-only', async () => {
    const workflow = await open();
    const role = `${database.name}_deploy`;
    await database.query(`alter role ${role} set default_transaction_read_only = on`);

    const { report } = await workflow.deploy(PLAN);

    expect(report.refusal).toMatch(/^The database accepts no writes from the role /);
  });

  test('another session that applies migrations', async () => {
    const elsewhere = await connect(database.url);
    await elsewhere.query('select pg_advisory_lock(7241865325823964)');
    const workflow = await open();

    const { report } = await workflow.deploy(PLAN);
    await elsewhere.end();

    expect(report.refusal).toContain('Another session is applying migrations to this database: pid ');
  });

  test('a database that cannot be read fails the plan, which reports the services all the same', async () => {
    const url = Object.assign(new URL(database.url), { host: '127.0.0.1:1' });
    const workflow = await open({
      databaseUrl: url.href,
      environment: { services: ALL_KINDS.slice(2) },
      services: 'none',
    });
    stateOf(workflow).lambda.mappings.splice(0);

    const { status, cause, report } = await workflow.deploy(PLAN);

    expect(status).toBe('FAILED');
    expect(cause).toContain('The database cannot be reached: connect ECONNREFUSED 127.0.0.1:1');
    expect(report).toMatchObject({ mode: 'plan', decision: null });
    expect(report.refusal).toMatch(/^The database cannot be reached.*Services cannot be stopped\. mailer: /);
    expect(serviceOf(report, 'nightly')).toMatchObject({ usable: true });
    expect(report.warnings).toContainEqual(
      expect.stringContaining('A deploy would be refused. Services cannot be stopped. mailer: '),
    );
    expect(report.summary).toMatch(/^The plan failed: .*The database cannot be reached/);
  });
});

describe('another deploy that runs', () => {
  test('is named by a plan, which succeeds, and leaves its lock alone', async () => {
    const blocker = await connect(database.url);
    await blocker.query('begin; lock table people in access exclusive mode');
    const workflow = await open({ builds: { lockTimeoutSeconds: 300 } });
    const first = workflow.workflow.start({}, 'the-first').ended;
    await eventually(() => entered(workflow, BUILD_INDEXES.buildIndex).length).toBeGreaterThan(0);
    const lock = structuredClone(stateOf(workflow).ssm.parameters[LOCK]);

    const plan = await workflow.workflow.start(PLAN, 'the-plan').ended;

    expect(stateOf(workflow).ssm.parameters[LOCK]).toEqual(lock);
    expect(plan.result.status).toBe('SUCCEEDED');
    const report = plan.summary?.report ?? expect.fail('There is no report.');
    expect(report.refusal).toMatch(/^Another deploy is running: the-first, started at \S+ \(/);
    expect(report.services.map(({ name, leftStopped }) => [name, leftStopped])).toEqual(
      ALL_KINDS.map(({ name }) => [name, true]),
    );
    expect(report.warnings).toContainEqual(
      expect.stringMatching(/^Another deploy has stopped services, which are not started yet: api, /),
    );
    await blocker.query('rollback');
    await blocker.end();
    expect((await first).result.status).toBe('SUCCEEDED');
  });

  test('is not delayed by a plan that runs', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isFirst = true;
    const workflow = await open({
      aws: {
        coldStart: async (name) => {
          if (!name.endsWith('preflight') || !isFirst) return;
          isFirst = false;
          await held;
        },
      },
    });
    const plan = workflow.workflow.start(PLAN, 'slow-plan').ended;
    await eventually(() => isFirst).toBe(false);

    const { status, cause } = await workflow.deploy();

    expect(cause).toBeUndefined();
    expect(status).toBe('SUCCEEDED');
    release();
    expect((await plan).result.status).toBe('SUCCEEDED');
  });
});

describe('services that an earlier deploy has left stopped', () => {
  test('after a critical failure: the plan names the deploy', async () => {
    await database.query("insert into people values (1, 'a'), (2, 'a')");
    const workflow = await open({ migrations: {} });
    await workflow.workflow.start({}, 'failed-one').ended;
    const before = readAws(workflow);

    const { status, report } = await workflow.deploy(PLAN);

    expect(status).toBe('SUCCEEDED');
    expect(readAws(workflow)).toEqual(before);
    expect(report.warnings).toContainEqual(
      expect.stringMatching(
        /^Services are left stopped by the deploy failed-one, since \S+: api, invoices, jobs, mailer, nightly, old-export, retired, worker\. A deploy that succeeds starts them\.$/,
      ),
    );
    expect(readServices(workflow).withSavedState).toHaveLength(ALL_KINDS.length);
  });

  test('in a hold: the plan names the deploy, and does not end the hold', async () => {
    const workflow = await open();
    await workflow.workflow.start({ start: 'hold' }, 'holding').ended;
    const before = readAws(workflow);

    const { report } = await workflow.deploy(PLAN);
    const again = await workflow.deploy({ ...PLAN, start: 'hold' });

    expect(readAws(workflow)).toEqual(before);
    expect(report.warnings).toContainEqual(
      expect.stringMatching(
        /^Services are held for the deployment of the application by the deploy holding, since \S+: .* A deploy starts them, which ends the hold\.$/,
      ),
    );
    expect(again.report.warnings).toContainEqual(expect.stringContaining('A deploy would hold them again.'));
  });

  test('under another name: the plan names the saved state', async () => {
    const workflow = await open();
    await workflow.workflow.start({ start: 'hold' }).ended;
    const { parameters } = stateOf(workflow).ssm;
    const worker = Object.keys(parameters).find((name) => name.endsWith('/services/worker')) ?? '';
    parameters[worker.replace('worker', 'old-name')] = parameters[worker] ?? expect.fail();
    delete parameters[worker];

    const { report } = await workflow.deploy(PLAN);

    expect(serviceOf(report, 'worker')).toMatchObject({ leftStopped: false });
    expect(report.warnings).toContainEqual(
      expect.stringMatching(
        /^Parameter Store has saved states of services that are not configured under these names: old-name\./,
      ),
    );
  });
});
