import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { CompiledRegistry } from '../../../lambdas/shared/registry.ts';
import type { CompiledFiles } from '../../../lib/compile/compiled-files.ts';
import type { Environment, EnvironmentInput } from '../../../lib/config/environment-config.ts';
import { parseEnvironments } from '../../../lib/config/environment-config.ts';
import { pendingToolOf } from '../../../lib/config/pending-config.ts';
import { EnvironmentStack } from '../../../lib/constructs/environment-stack.ts';
import { migrationsToShip, notesOnMigrations } from '../../../lib/functions/ship-migrations.ts';
import { toolMigrationsToShip } from '../../../lib/functions/ship-tool-migrations.ts';
import { loadRegistry } from '../../../lib/registry/load-registry.ts';

export const PROJECT_ROOT = resolve(import.meta.dirname, '../../..');

export const ACCOUNT = '222222222222';
export const REGION = 'eu-west-1';

/** The context of the project's cdk.json. */
export function readContext(): { environments: Record<string, EnvironmentInput> } {
  return JSON.parse(readFileSync(join(PROJECT_ROOT, 'cdk.json'), 'utf8')).context;
}

/** The example environment `prod` of cdk.json, without defaults. */
export function prodInput(): EnvironmentInput {
  const { prod } = readContext().environments;
  if (prod === undefined) throw new Error('cdk.json has no environment "prod".');
  return prod;
}

/** `prod` with a service of each kind, and with two if a kind has an option. */
export function everyKindInput(): EnvironmentInput {
  return {
    ...prodInput(),
    services: [
      { name: 'api', cluster: 'prod', service: 'api', scaling: true },
      { name: 'worker', kind: 'ecs', cluster: 'prod', service: 'worker' },
      { name: 'nightly', kind: 'event-rule', rule: 'nightly-import' },
      { name: 'orders', kind: 'event-rule', rule: 'order-placed', eventBus: 'shop' },
      { name: 'queue', kind: 'event-source-mapping', uuid: '0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d' },
      { name: 'invoices', kind: 'schedule', schedule: 'invoices', role: `${ROLE}/invoices` },
      {
        ...{ name: 'export', kind: 'schedule', schedule: 'export', group: 'jobs' },
        ...{ role: `${ROLE}/path/export`, key: keyArn(4) },
      },
      { name: 'batch', kind: 'custom', function: `${FUNCTION}:stop-batch:live` },
    ],
  };
}

const FUNCTION = `arn:aws:lambda:${REGION}:${ACCOUNT}:function`;
const ROLE = `arn:aws:iam::${ACCOUNT}:role`;

/** `prod` with a migration task on Fargate, the latest revision, and every optional field. */
export function ecsTaskInput(): EnvironmentInput {
  return {
    ...prodInput(),
    migrations: {
      runner: 'ecs-task',
      ...{ cluster: 'prod', taskDefinition: 'shop-migrate', container: 'migrate', timeoutMinutes: 90 },
      command: ['alembic', 'upgrade', 'head'],
      environment: { APP_ENV: 'prod' },
      network: { subnetIds: ['subnet-a', 'subnet-b'], securityGroupIds: ['sg-a'] },
      roles: { task: `${ROLE}/shop-task`, execution: `${ROLE}/shop-execution` },
      logs: { group: '/ecs/shop', streamPrefix: 'shop' },
    },
  };
}

/** `prod` with a migration task on EC2, a fixed revision, and only the required fields. */
export function ecsTaskOnEc2Input(): EnvironmentInput {
  return {
    ...prodInput(),
    migrations: {
      runner: 'ecs-task',
      ...{ cluster: 'prod', taskDefinition: 'shop-migrate:7', container: 'migrate', launchType: 'EC2' },
      roles: { task: 'none', execution: 'none' },
    },
  };
}

/** A customer-managed key. */
export function keyArn(number: number): string {
  return `arn:aws:kms:${REGION}:${ACCOUNT}:key/99999999-2222-3333-4444-55555555555${number}`;
}

/** `prod` with every option for production: own keys, alarms, retention, permissions boundary, tags. */
export function productionInput(): EnvironmentInput {
  return {
    ...prodInput(),
    logs: { kmsKeyArn: keyArn(1), retentionDays: 365, executionData: true },
    alarms: true,
    alerts: { emails: ['on-call@example.com'], kmsKeyArn: keyArn(2) },
    stack: {
      ...{ terminationProtection: true, retain: true, stateMachineKeyArn: keyArn(3) },
      permissionsBoundary: `arn:aws:iam::${ACCOUNT}:policy/team/boundary`,
      tags: { Team: 'Shop 1', 'cost:center': '4711' },
    },
  };
}

/** `prod` with a login by IAM instead of a password. */
export function iamInput(): EnvironmentInput {
  return {
    ...prodInput(),
    database: {
      ...{ authentication: 'iam', user: 'shop_deploy', resourceId: 'cluster-ABCDEFGHIJ' },
      ...{ host: 'db.example', name: 'shop' },
    },
  };
}

/** `prod` with a migration function of the application. */
export function lambdaInput(): EnvironmentInput {
  return {
    ...prodInput(),
    migrations: {
      runner: 'lambda',
      ...{ function: 'shop-migrate:live', payload: { schema: 'shop', limit: null }, timeoutMinutes: 5 },
    },
  };
}

export interface Synthesised {
  app: App;
  stack(name: string): EnvironmentStack;
  template(name: string): Template;
  dispose(): void;
}

/** Compiled in this process, which is faster than in one of its own. */
function filesOf(registry: CompiledRegistry, { migrations, database }: Environment): CompiledFiles {
  const folder = migrations.runner === 'sql' ? resolve(PROJECT_ROOT, migrations.directory) : null;
  const tool = 'pending' in migrations ? pendingToolOf(migrations) : null;
  return {
    registry,
    migrations: folder === null ? null : migrationsToShip(folder, database.searchPath),
    toolMigrations: tool === null ? null : toolMigrationsToShip(tool, PROJECT_ROOT),
    notes: folder === null ? [] : notesOnMigrations(folder),
    findings: [],
  };
}

/**
 * Synthesises a stack for each environment in one app. `dispose` deletes the output folder.
 * @param validate the CDK also validates the templates, which takes seconds
 */
export async function synthesise(
  environments: Record<string, EnvironmentInput>,
  { validate = false }: { validate?: boolean } = {},
): Promise<Synthesised> {
  const outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-stack-'));
  const app = new App({ outdir, builtinCloudFormationValidation: validate });
  const registry = await loadRegistry(join(PROJECT_ROOT, 'database/indexes.ts'));
  const stacks = new Map<string, EnvironmentStack>();
  for (const [environmentName, environment] of Object.entries(parseEnvironments(environments))) {
    const stack = new EnvironmentStack(app, `pg-deploy-step-${environmentName}`, {
      environmentName,
      environment,
      files: filesOf(registry, environment),
      projectRoot: PROJECT_ROOT,
      env: { account: environment.account, region: environment.region },
    });
    stacks.set(environmentName, stack);
  }
  const stack = (name: string) => {
    const found = stacks.get(name);
    if (found === undefined) throw new Error(`The environment "${name}" was not synthesised.`);
    return found;
  };
  return {
    app,
    stack,
    template: (name) => Template.fromStack(stack(name)),
    dispose: () => rmSync(outdir, { recursive: true, force: true }),
  };
}
