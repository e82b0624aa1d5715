import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');

let place: CommandFolder;
beforeEach(() => {
  place = createCommandFolder();
});
afterEach(() => place.remove());

const read = (name: string) => readFileSync(place.file(name), 'utf8');
const configuration = () => JSON.parse(read('cdk.json')).context;
const dev = () => parseEnvironments(configuration().environments).dev;

function write(name: string, text: string): void {
  mkdirSync(dirname(place.file(name)), { recursive: true });
  writeFileSync(place.file(name), text);
}

const ORDERS =
  'create table orders (id bigint primary key, tenant_id bigint not null, status text not null);\n';
const INDEX = 'create index idx_orders_status on orders (tenant_id, status);\n';

const NEW_APP = [
  'cdk.json',
  'deploy/app.ts',
  'deploy/pipeline-stack.ts',
  '.github/workflows/pg-deploy-step.yml',
];

test('an empty folder gets a whole project with an example, which lint accepts', async () => {
  const { exitCode, stdout } = await place.run('init');

  expect(exitCode).toBe(0);
  for (const file of [
    ...['package.json', 'tsconfig.json', '.gitignore', 'database/indexes.ts'],
    ...['database/migrations/0001_orders.sql', ...NEW_APP],
  ]) {
    expect(existsSync(place.file(file)), file).toBe(true);
    expect(stdout).toContain(file);
  }
  expect(stdout).toMatch(/^1\. npm install$/m);
  expect(dev()).toMatchObject({
    indexes: 'database/indexes.ts',
    migrations: { runner: 'sql', directory: 'database/migrations' },
  });
  const linted = await place.run('lint', '--strict');
  expect(linted.stdout).toContain('0 errors, 0 warnings');
  expect(linted.exitCode).toBe(0);
});

test('a folder into which npm has just installed the package gets the example and a tsconfig.json, too', async () => {
  const manifest = '{ "devDependencies": { "pg-deploy-step": "^0.1.0" } }';
  write('package.json', manifest);
  write('package-lock.json', '{}');
  write('node_modules/pg-deploy-step/package.json', '{}');
  const { exitCode, stdout } = await place.run('init');

  expect(exitCode).toBe(0);
  expect(read('package.json')).toBe(manifest);
  for (const file of ['tsconfig.json', '.gitignore', 'database/migrations/0001_orders.sql']) {
    expect(existsSync(place.file(file)), file).toBe(true);
  }
  expect(dev()?.migrations).toMatchObject({ runner: 'sql', directory: 'database/migrations' });
  expect(stdout).toMatch(/^1\. npm install --save-dev .* tsx@/m);
});

describe('a folder of a repository with several databases', () => {
  beforeEach(() => {
    mkdirSync(place.file('.git'));
    write('package.json', '{ "workspaces": ["services/*"] }');
  });

  test('gets an environment of its own, and its job where GitHub reads it', async () => {
    write('pnpm-lock.yaml', '');
    for (const name of ['billing', 'Shop']) {
      write(`services/${name}/package.json`, '{}');
      write(`services/${name}/migrations/0001_orders.sql`, ORDERS + INDEX);
      expect(await place.run('init', `services/${name}`)).toMatchObject({ exitCode: 0 });
      expect(JSON.parse(read(`services/${name}/cdk.json`)).context.environments).toEqual({
        [`services-${name.toLowerCase()}-dev`]: expect.objectContaining({ migrations: 'migrations' }),
      });
    }

    expect(place.files('.github/workflows')).toEqual([
      'pg-deploy-step-services-billing.yml',
      'pg-deploy-step-services-shop.yml',
    ]);
    const job = read('.github/workflows/pg-deploy-step-services-shop.yml');
    expect(job).toMatch(/^ {8}working-directory: services\/Shop$/m);
    expect(job).toMatch(/^ {6}- run: corepack enable && pnpm install.*\n {8}working-directory: \.$/m);
    expect(read('services/Shop/deploy/pipeline-stack.ts')).toContain(
      "commands: ['corepack enable && pnpm install --frozen-lockfile', 'cd services/Shop'] }",
    );
    const again = await place.run('init', 'services/Shop');
    expect(again.stdout).toContain('Nothing to write: the project has all files.');
  });

  test('with a lock file of its own installs there, also on GitLab', async () => {
    write('.gitlab-ci.yml', '');
    write('services/billing/yarn.lock', '');
    write('services/billing/migrations/0001_orders.sql', ORDERS + INDEX);
    const { stdout } = await place.run('init', 'services/billing');

    expect(read('.gitlab/pg-deploy-step-services-billing.yml')).toContain(
      '    - cd services/billing\n    - corepack enable && yarn install --immutable\n',
    );
    expect(stdout).toContain('include: [{ local: .gitlab/pg-deploy-step-services-billing.yml }]');
    expect(read('services/billing/deploy/pipeline-stack.ts')).toContain(
      "commands: ['cd services/billing', 'corepack enable && yarn install --immutable'] }",
    );
  });
});

test('a Prisma project gets a registry of its indexes, and a task that runs prisma migrate deploy', async () => {
  cpSync(join(FIXTURES, 'prisma'), place.file('prisma'), { recursive: true });
  const manifest = '{ "name": "shop", "dependencies": { "@prisma/client": "6.0.0", "typescript": "5.9.3" } }';
  write('package.json', manifest);
  write('pnpm-lock.yaml', '');
  const { exitCode, stdout } = await place.run('init');

  expect(exitCode).toBe(0);
  expect(stdout).toContain('3 migrations (prisma) in prisma/migrations, 5 indexes');
  expect(read('database/indexes.ts')).toContain("name: 'Customer_email_key'");
  expect(dev()?.migrations).toMatchObject({
    runner: 'ecs-task',
    command: ['npx', 'prisma', 'migrate', 'deploy'],
  });
  expect(read('package.json')).toBe(manifest);
  expect(existsSync(place.file('tsconfig.json'))).toBe(false);
  const [add = ''] = /^1\. pnpm add --save-dev .*$/m.exec(stdout) ?? [];
  expect(add).toContain(' pg-deploy-step@');
  expect(add).not.toContain('typescript');
  expect(read('.github/workflows/pg-deploy-step.yml')).toContain('pnpm install --frozen-lockfile');
  expect(read('deploy/pipeline-stack.ts')).toContain('pnpm install --frozen-lockfile');
  const linted = await place.run('lint', '--strict');
  expect(linted.stdout).toContain('0 errors, 0 warnings');
  expect(linted.exitCode).toBe(0);
});

test('a folder with SQL migrations: they stay, later ones are linted, and the runner applies them', async () => {
  write('db/migrate/0001_orders.sql', ORDERS + INDEX);
  await place.run('init');

  expect(dev()?.migrations).toMatchObject({ runner: 'sql', directory: 'db/migrate' });
  expect(read('database/indexes.ts')).toContain("name: 'idx_orders_status'");
  expect(read('db/migrate/0001_orders.sql')).toBe(ORDERS + INDEX);
  expect((await place.run('lint', '--strict')).exitCode).toBe(0);
  write('db/migrate/0002_later.sql', 'create index idx_orders_later on orders (status);\n');
  const linted = await place.run('lint');
  expect(linted.stdout).toContain('0002_later.sql');
  expect(linted.exitCode).toBe(1);
});

describe('a project that has everything', () => {
  test('stays as it is', async () => {
    await place.run('init');
    rmSync(place.file('deploy/pipeline-stack.ts'));
    write('deploy/app.ts', '// my own\n');
    write('cdk.json', read('cdk.json').replace('"api"', '"web"'));
    const before = Object.fromEntries(
      ['cdk.json', 'package.json', 'deploy/app.ts'].map((file) => [file, read(file)]),
    );

    const { exitCode, stdout } = await place.run('init');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Files that exist, and are not changed:');
    expect(stdout).toContain('Nothing to write: the project has all files.');
    for (const [file, text] of Object.entries(before)) expect(read(file)).toBe(text);
  });

  test('and an app of its own keeps it, and init prints what to add to it', async () => {
    write('package.json', '{}');
    write('cdk.json', '{ "app": "npx tsx bin/shop.ts" }');
    write('db/migrate/0001_orders.sql', ORDERS);
    const { stdout } = await place.run('init');

    expect(existsSync(place.file('deploy'))).toBe(false);
    expect(read('cdk.json')).toBe('{ "app": "npx tsx bin/shop.ts" }');
    expect(stdout).toContain(
      "new DeployStep(this, 'DeployStep', { database: cluster, services: [api], migrations: 'db/migrate' });",
    );
    const [, command = ''] =
      /run: npx pg-deploy-step (lint .*) --format github/.exec(
        read('.github/workflows/pg-deploy-step.yml'),
      ) ?? [];
    expect((await place.run(...command.split(' '))).exitCode).toBe(0);
  });
});

test('a project of a tool that cannot be read gets no migrations, and says what that means', async () => {
  write('manage.py', '');
  write('shop/migrations/0001_initial.py', '');
  const { stdout } = await place.run('init');

  expect(dev()?.migrations).toEqual({ runner: 'none' });
  expect(stdout).toContain('migrations: "none" means that your pipeline applies them before the deploy');
  expect((await place.run('lint')).exitCode).toBe(0);
});

test('a project on GitLab gets a job to include', async () => {
  write('.gitlab-ci.yml', 'stages: [test]\n');
  const { stdout } = await place.run('init');

  expect(read('.gitlab/pg-deploy-step.yml')).toContain('npx pg-deploy-step lint');
  expect(existsSync(place.file('.github'))).toBe(false);
  expect(stdout).toContain('include: [{ local: .gitlab/pg-deploy-step.yml }]');
});

test('--dry-run shows the files and writes none', async () => {
  const { exitCode, stdout } = await place.run('init', '--dry-run');

  expect(exitCode).toBe(0);
  expect(stdout).toContain('deploy/app.ts');
  expect(stdout).toContain('No file was written');
  expect(place.files()).toEqual([]);
});

test('several histories are refused until one is named, and nothing is written', async () => {
  write('one/migrations/0001_a.sql', ORDERS);
  write('two/migrations/0001_b.sql', ORDERS);
  const refused = await place.run('init');

  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('2 separate histories of migrations');
  expect(place.files()).toEqual(['one', 'two']);
  expect((await place.run('init', '--migrations', 'two/migrations')).exitCode).toBe(0);
  expect(dev()?.migrations).toMatchObject({ directory: 'two/migrations' });
});

test('a link to nowhere exists: it is not written through', async () => {
  symlinkSync(place.file('nowhere.json'), place.file('tsconfig.json'));

  expect((await place.run('init')).exitCode).toBe(0);
  expect(existsSync(place.file('nowhere.json'))).toBe(false);
  expect(existsSync(place.file('cdk.json'))).toBe(true);
});

test('a file that cannot be written is reported before any file is written', async () => {
  write('deploy', 'a file, not a folder\n');
  const { exitCode, stderr } = await place.run('init');

  expect(stderr).toContain('deploy is a file, not a folder.');
  expect(exitCode).toBe(1);
  expect(place.files()).toEqual(['deploy']);
});

test('a folder that does not exist is wrong usage', async () => {
  const { exitCode, stderr } = await place.run('init', 'nowhere');

  expect(stderr).toContain('nowhere does not exist. Create it first.');
  expect(exitCode).toBe(2);
});
