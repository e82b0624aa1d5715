import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

const REGISTRY = [
  {
    name: 'idx_orders_tenant',
    sql: 'create index concurrently if not exists idx_orders_tenant on orders (tenant_id, placed)',
    description: 'orders of a tenant',
  },
  {
    name: 'idx_orders_tenant_only',
    sql: 'create index concurrently if not exists idx_orders_tenant_only on orders (tenant_id)',
    description: 'orders of a tenant, again',
  },
];
const ORDERS =
  'create table users (id int primary key);\ncreate table orders (id int primary key, tenant_id int, placed date, created_by int references users, approved_by int references users);\n';

let project: CommandFolder;

beforeEach(() => {
  project = createCommandFolder();
  for (const folder of ['db', 'db/old', 'db/new']) mkdirSync(project.file(folder));
  write('indexes.json', JSON.stringify(REGISTRY));
  write('db/old/0001_orders.sql', ORDERS);
  write('db/old/0002_placed.sql', 'create index i_placed on orders (placed);\n');
  write('db/new/0003_tenant.sql', 'create index i_tenant on orders (tenant_id);\ndrop index i_placed;\n');
});
afterEach(() => project.remove());

function write(name: string, text: string): void {
  writeFileSync(project.file(name), text);
}

/** The findings of lint with a configuration: FILE LINE SEVERITY RULE. */
async function lint(lintContext: object, ...flags: string[]): Promise<string[]> {
  const { dev } = JSON.parse(readFileSync(join(import.meta.dirname, '../../cdk.json'), 'utf8')).context
    .environments;
  const environments = { dev: { ...dev, indexes: 'indexes.json', migrations: 'none' } };
  const context = { environments, lint: { migrations: ['db/old', 'db/new'], ...lintContext } };
  write('cdk.json', JSON.stringify({ app: 'x', context }, null, 2));
  const { stdout, stderr } = await project.run('lint', '--format', 'json', ...flags);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout).findings.map(
    ({ file, line, severity, rule }: Record<string, string>) => `${file} ${line} ${severity} ${rule}`,
  );
}

const PLAIN = [
  'indexes.json 1 warning redundant-index',
  'db/old/0001_orders.sql 2 warning foreign-key-without-index',
  'db/old/0001_orders.sql 2 warning foreign-key-without-index',
  'db/old/0002_placed.sql 1 error create-index',
  'db/new/0003_tenant.sql 1 error create-index',
  'db/new/0003_tenant.sql 2 error drop-index',
];

describe('the severity of a rule', () => {
  test('is its own without a configuration', async () => {
    expect((await lint({})).toSorted()).toEqual(PLAIN.toSorted());
  });

  test('can be off, a warning or an error in all files', async () => {
    const rules = { 'create-index': 'warn', 'drop-index': 'off', 'redundant-index': 'error' };

    expect((await lint({ rules })).toSorted()).toEqual(
      [
        'indexes.json 1 error redundant-index',
        ...PLAIN.slice(1, 3),
        'db/old/0002_placed.sql 1 warning create-index',
        'db/new/0003_tenant.sql 1 warning create-index',
      ].toSorted(),
    );
  });

  test.each(['db/old', 'db/old/', 'db/old/0002*', '**/0002_placed.sql', 'db/old/0002_placed.sql'])(
    'can be another one in %s',
    async (path) => {
      const rules = { 'create-index': [{ paths: [path], severity: 'off' }] };

      expect((await lint({ rules })).filter((one) => one.endsWith(' create-index'))).toEqual([
        'db/new/0003_tenant.sql 1 error create-index',
      ]);
    },
  );

  test('is that of the first paths that match', async () => {
    const rules = {
      'create-index': [
        { paths: ['db/old/**'], severity: 'off' },
        { paths: ['db/**'], severity: 'warn' },
      ],
    };

    expect((await lint({ rules })).filter((one) => one.endsWith(' create-index'))).toEqual([
      'db/new/0003_tenant.sql 1 warning create-index',
    ]);
  });

  test('that is off keeps --fix from moving a statement', async () => {
    const rules = { 'create-index': [{ paths: ['db/old'], severity: 'off' }] };
    const findings = await lint({ rules }, '--fix');

    expect(findings.filter((one) => one.includes(' create-index'))).toEqual([]);
    const { stdout } = await project.run('lint');
    expect(stdout).not.toContain('create-index');
  });
});

describe('a configuration that is not valid names the field', () => {
  test.each([
    [
      { rules: { 'no-such-rule': 'off' } },
      /lint\.rules\.no-such-rule: unknown rule; rules that can be configured: create-index,/,
    ],
    [
      { rules: { 'outside-transaction': 'off' } },
      /lint\.rules\.outside-transaction: the severity of this rule cannot be configured/,
    ],
    [
      { rules: { 'create-index': 'warning' } },
      /lint\.rules\.create-index: must be off, warn or error, or a list/,
    ],
    [
      { rules: { 'create-index': [{ paths: [], severity: 'off' }] } },
      /lint\.rules\.create-index\.0\.paths: Too small/,
    ],
    [{ acceptedForeignKeys: [{ table: 'orders', columns: ['a'] }] }, /lint\.acceptedForeignKeys\.0\.reason/],
    [
      { acceptedForeignKeys: [{ table: 'orders', columns: [], reason: 'x' }] },
      /lint\.acceptedForeignKeys\.0\.columns/,
    ],
  ])('%j', async (context, message) => {
    await expect(lint(context)).rejects.toThrow(message);
  });
});

describe('a foreign key without an index', () => {
  const accepted = (table: string, ...columns: string[]) => ({ table, columns, reason: 'read once a year' });

  test.each(['orders', 'public.orders'])(
    'can be accepted in the configuration, as one of %s',
    async (table) => {
      const acceptedForeignKeys = [accepted(table, 'created_by'), accepted(table, 'approved_by')];

      expect((await lint({ acceptedForeignKeys })).join()).not.toContain('foreign-key-without-index');
    },
  );

  test('that is accepted and does not occur is reported at its line of cdk.json', async () => {
    const acceptedForeignKeys = [accepted('orders', 'created_by'), accepted('orders', 'tenant_id')];
    const findings = await lint({ acceptedForeignKeys });

    expect(findings.filter((one) => one.endsWith('foreign-key-without-index'))).toHaveLength(1);
    expect(findings.filter((one) => one.endsWith('unused-accept'))).toEqual([
      expect.stringMatching(/^cdk\.json \d\d warning unused-accept$/),
    ]);
    const { stdout } = await project.run('lint');
    expect(stdout).toContain('The foreign key (tenant_id) of orders is accepted without an index');
  });

  test('in a migration before --start-after is not reported, as with every other rule', async () => {
    write('db/old/0000_seed.py', 'print()\n');
    const findings = await lint({}, '--start-after', '0002');

    expect(findings.toSorted()).toEqual([PLAIN[0], ...PLAIN.slice(4)].toSorted());
  });
});
