import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { App } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DeployStep, type DeployStepProps, defineIndexes, loadRegistry } from '../../lib/index.ts';
import { newApp, Shop } from './support/shop.ts';

/*
 * The registry and the migrations of a construct are compiled and linted by a process that its constructor waits for.
 */

let folder: string;
let app: App;
let shop: Shop;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-constructs-'));
  app = newApp(join(folder, 'cdk.out'));
  shop = new Shop(app);
  write('package.json', '{}');
  write(
    'database/migrations/0001_orders.sql',
    'create table orders (id bigint primary key, tenant_id bigint);\n',
  );
  write('database/indexes.json', '[]');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text: string): void {
  const file = join(folder, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
}

function deployStep(props: Partial<DeployStepProps> = {}): DeployStep {
  return new DeployStep(shop, 'DeployStep', {
    ...{
      database: shop.database,
      services: [shop.api],
      projectRoot: folder,
      indexes: 'database/indexes.json',
    },
    ...props,
  });
}

const ORDERS = {
  name: 'idx_orders_tenant',
  sql: 'create index concurrently if not exists idx_orders_tenant on orders (tenant_id)',
  description: 'Orders of a tenant',
};

/** A file of the function preflight. */
function shipped(name: string): unknown {
  return JSON.parse(readFileSync(join(folder, 'cdk.out/bundles.shop/preflight', name), 'utf8'));
}

test('a registry and a folder of migrations are shipped with the functions', () => {
  write('database/indexes.json', JSON.stringify([ORDERS]));
  deployStep();

  expect(shipped('registry.json')).toMatchObject([{ name: 'idx_orders_tenant', table: 'orders' }]);
  expect(
    readFileSync(join(folder, 'cdk.out/bundles.shop/run-migrations/migrations/0001_orders.sql'), 'utf8'),
  ).toBe('create table orders (id bigint primary key, tenant_id bigint);\n');
});

test('the entries of a registry can be written in the app', () => {
  deployStep({ indexes: defineIndexes([ORDERS]) });

  expect(shipped('registry.json')).toMatchObject([{ name: 'idx_orders_tenant' }]);
});

test('what lint finds is a warning at synth, with its place', () => {
  write('database/migrations/0002_index.sql', 'create index idx_late on orders (tenant_id);\n');
  deployStep();

  Annotations.fromStack(shop).hasWarning(
    '/Shop/DeployStep',
    Match.stringLikeRegexp('^database/migrations/0002_index.sql:1:1: .*idx_late'),
  );
});

test('lint respects the context of cdk.json', () => {
  write('cdk.json', JSON.stringify({ context: { lint: { rules: { 'create-index': 'off' } } } }));
  write('database/migrations/0002_index.sql', 'create index idx_late on orders (tenant_id);\n');
  deployStep();

  Annotations.fromStack(shop).hasNoWarning('/Shop/DeployStep', Match.stringLikeRegexp('idx_late'));
});

test('without a warning there is none, only the advice that nobody gets the alerts', () => {
  write('database/indexes.json', JSON.stringify([ORDERS]));
  deployStep();

  const annotations = Annotations.fromStack(shop);
  expect(annotations.findWarning('/Shop/DeployStep', Match.anyValue())).toEqual([]);
  annotations.hasInfo('/Shop/DeployStep', Match.stringLikeRegexp('^Nobody gets the alerts'));
});

test('a wrong registry fails the synth with every problem and its place', () => {
  write('database/indexes.json', JSON.stringify([{ ...ORDERS, name: 'other' }]));

  expect(() => deployStep()).toThrow(`${join(folder, 'database/indexes.json')}:1:`);
});

test('wrong migrations and missing files fail the synth', () => {
  expect(() => deployStep({ projectRoot: join(folder, 'nowhere') })).toThrow(
    `projectRoot: the folder ${join(folder, 'nowhere')} does not exist.`,
  );
  shop.node.tryRemoveChild('DeployStep');
  expect(() => deployStep({ indexes: 'database/nothing.json' })).toThrow('the file does not exist');
});

test('loadRegistry compiles a file', async () => {
  write('database/indexes.json', JSON.stringify([ORDERS]));

  expect(await loadRegistry(join(folder, 'database/indexes.json'))).toMatchObject([{ name: ORDERS.name }]);
});
