import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as rds from 'aws-cdk-lib/aws-rds';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DeployStep, DeployStepStack } from '../../lib/index.ts';
import { newApp, Shop } from './support/shop.ts';

/*
 * One repository with two databases: each has its own registry, migrations and services.
 */

const NAMES = ['orders', 'billing'] as const;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-databases-'));
  writeFileSync(join(folder, 'package.json'), '{}');
  for (const name of NAMES) {
    write(
      `${name}/migrations/0001_${name}.sql`,
      `create table ${name} (id bigint primary key, tenant_id bigint);`,
    );
    write(
      `${name}/indexes.json`,
      JSON.stringify([
        {
          name: `idx_${name}_tenant`,
          sql: `create index concurrently if not exists idx_${name}_tenant on ${name} (tenant_id)`,
          description: 'Rows of a tenant',
        },
      ]),
    );
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

function secondDatabase(shop: Shop): rds.DatabaseCluster {
  return new rds.DatabaseCluster(shop, 'BillingDatabase', {
    engine: rds.DatabaseClusterEngine.auroraPostgres({ version: rds.AuroraPostgresEngineVersion.VER_16_4 }),
    writer: rds.ClusterInstance.serverlessV2('Writer'),
    defaultDatabaseName: 'billing',
    vpc: shop.vpc,
  });
}

/** What the functions of an environment contain. */
function shippedWith(environment: string): { index: string; migration: string } {
  const bundles = join(folder, `cdk.out/bundles.${environment}`);
  const [index] = JSON.parse(readFileSync(join(bundles, 'preflight/registry.json'), 'utf8'));
  const name = index.table as string;
  const migration = readFileSync(join(bundles, `run-migrations/migrations/0001_${name}.sql`), 'utf8');
  return { index: index.name, migration };
}

test('two deploy steps in one stack have files, services and names of their own', () => {
  const shop = new Shop(newApp(join(folder, 'cdk.out')));
  const databases = { orders: shop.database, billing: secondDatabase(shop) };
  const services = { orders: shop.api, billing: shop.addService('Invoices') };
  const steps = NAMES.map(
    (name) =>
      new DeployStep(shop, name, {
        ...{ database: databases[name], services: [services[name]], projectRoot: folder },
        ...{ indexes: `${name}/indexes.json`, migrations: `${name}/migrations` },
      }),
  );

  expect(steps.map(({ environmentName }) => environmentName)).toEqual(['shop-orders', 'shop-billing']);
  for (const name of NAMES) {
    const shipped = shippedWith(`shop-${name}`);
    expect(shipped.index).toBe(`idx_${name}_tenant`);
    expect(shipped.migration).toContain(`create table ${name} `);
  }
  const functions = Object.values(Template.fromStack(shop).findResources('AWS::Lambda::Function'));
  const hosts = functions
    .filter(({ Properties }) => /^pg-deploy-step-.*-preflight$/.test(Properties.FunctionName))
    .map(({ Properties }) => Properties.Environment.Variables.DATABASE_HOST['Fn::GetAtt'][0]);
  expect(new Set(hosts).size).toBe(2);
  Annotations.fromStack(shop).hasNoError('*', Match.anyValue());
});

test('two stacks do not depend on each other', () => {
  const app = newApp(join(folder, 'cdk.out'));
  const shop = new Shop(app);
  const databases = { orders: shop.database, billing: secondDatabase(shop) };
  const stacks = NAMES.map(
    (name) =>
      new DeployStepStack(app, `deploys-${name}`, {
        ...{ database: databases[name], services: [shop.api], projectRoot: folder },
        ...{ indexes: `${name}/indexes.json`, migrations: `${name}/migrations` },
      }),
  );
  app.synth();

  expect(stacks.map(({ dependencies }) => dependencies)).toEqual([[shop], [shop]]);
  for (const name of NAMES) expect(shippedWith(`deploys-${name}`).index).toBe(`idx_${name}_tenant`);
});
