import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Match, type Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import indexes from '../../database/indexes.ts';
import { writeDemoMigrations } from '../../examples/playground/demo-migrations.ts';
import { createDatabase } from '../support/database.ts';
import { openTestWorkflow } from '../support/workflow.ts';
import { type AppRun, runApp } from './support/run-app.ts';
import { PROJECT_ROOT } from './support/synthesise.ts';
import { type Resource, resourcesOf, resourcesOfType, statementsIn } from './support/template-values.ts';

/*
 * The playground is synthesised without an account, its template contains what docs/playground.md promises, and its migrations and its
 * registry deploy.
 */

let run: AppRun;
let template: Template;

beforeAll(async () => {
  run = await runApp(join(PROJECT_ROOT, 'examples/playground/app.ts'));
  template = run.template('pg-deploy-step-playground');
});
afterAll(() => run?.dispose());

test('is synthesised without an account, as one stack', () => {
  expect(run.stderr).toBe('');
  expect(run.exitCode).toBe(0);
  expect(run.stacks).toEqual(['pg-deploy-step-playground']);
});

describe('the stack', () => {
  test('has a network without NAT gateways', () => {
    template.resourceCountIs('AWS::EC2::VPC', 1);
    template.resourceCountIs('AWS::EC2::NatGateway', 0);
    template.resourceCountIs('AWS::EC2::VPCEndpoint', 2);
  });

  test('has Aurora Serverless v2 that pauses when nobody uses it, and is not public', () => {
    template.hasResourceProperties('AWS::RDS::DBCluster', {
      ...{ Engine: 'aurora-postgresql', DatabaseName: 'demo', StorageEncrypted: true },
      ...{ DeletionProtection: false, DeleteAutomatedBackups: true },
      ServerlessV2ScalingConfiguration: { MinCapacity: 0, MaxCapacity: 2, SecondsUntilAutoPause: 300 },
    });
    template.resourcePropertiesCountIs(
      'AWS::RDS::DBInstance',
      { DBInstanceClass: 'db.serverless', PubliclyAccessible: false },
      1,
    );
  });

  test('has one small service, which the deploy step stops', () => {
    template.hasResourceProperties('AWS::ECS::TaskDefinition', { Cpu: '256', Memory: '512' });
    template.hasResourceProperties('AWS::ECS::Service', {
      LaunchType: 'FARGATE',
      // With a count, each update of the stack would start a stopped service.
      DesiredCount: Match.absent(),
    });
    expect(
      statementsIn(template).filter(({ Action: actions }) => actions.includes('ecs:UpdateService')).length,
    ).toBeGreaterThan(0);
  });

  test('keeps nothing when it is deleted', () => {
    const kept = (
      Object.entries(resourcesOf(template)) as [
        string,
        Resource & { DeletionPolicy?: string; UpdateReplacePolicy?: string },
      ][]
    ).filter(
      ([, { Type, DeletionPolicy, UpdateReplacePolicy }]) =>
        Type !== 'AWS::CDK::Metadata' && (DeletionPolicy !== 'Delete' || UpdateReplacePolicy !== 'Delete'),
    );

    expect(kept.map(([id]) => id)).toEqual([]);
  });

  test('deletes the parameters that the workflow writes, after the state machines', () => {
    const [[id, parameters] = ['', undefined]] = resourcesOfType(template, 'Custom::AWS');
    const { parameters: call } = JSON.parse(String(parameters?.Properties.Delete));
    const allowed = statementsIn(template)
      .filter(({ Action: actions }) => actions.includes('ssm:PutParameter'))
      .flatMap(({ Resource: resources }) => resources.map((arn) => arn.replace(/^.*:parameter/, '')));

    expect(new Set(allowed.map((name) => name.replace(/\*$/, 'api')))).toEqual(new Set(call.Names));
    for (const [machine, resource] of resourcesOfType(template, 'AWS::StepFunctions::StateMachine'))
      expect([machine, (resource as Resource & { DependsOn: string[] }).DependsOn]).toEqual([
        machine,
        expect.arrayContaining([id]),
      ]);
  });
});

test('its migrations insert the rows of the demo, and a deploy builds the registry', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
  const migrations = join(folder, 'migrations');
  const names = writeDemoMigrations(migrations);
  const database = await createDatabase();
  const { deploy, close } = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [...indexes],
    runner: { runner: 'sql', directory: migrations },
    services: 'none',
  });
  try {
    const { status, report } = await deploy();

    expect(names).toEqual(readdirSync(migrations).toSorted());
    expect(names.filter((name) => name.includes('demo_rows'))).toHaveLength(1);
    expect(status).toBe('SUCCEEDED');
    expect(report.migrations.applied).toEqual(names.map((name) => name.replace(/\.sql$/, '')));
    expect(report.totals).toEqual({ created: indexes.length, skipped: 0, failed: 0, remaining: 0 });
    expect(await database.query('select count(*) > 400000 as filled from deals')).toEqual([{ filled: true }]);
    expect((await deploy({ mode: 'plan' })).report).toMatchObject({ decision: 'nothing', warnings: [] });
  } finally {
    await close();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
});
