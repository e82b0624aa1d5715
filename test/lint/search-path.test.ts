import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

let place: CommandFolder;

beforeEach(() => {
  place = createCommandFolder();
});
afterEach(() => {
  place.remove();
});

/** Of an index in a migration that is also in the registry. */
const LISTED = 'The registry lists idx_users already: remove this statement';

const entry = (name: string, on: string) => ({
  name,
  sql: `create index concurrently if not exists ${name} on ${on}`,
  description: 'of a test',
});

async function lint(...args: string[]) {
  const { stdout, stderr } = await place.run(
    ...['lint', '--indexes', 'indexes.json', '--migrations', '0001_users.sql', '--format', 'json'],
    ...args,
  );
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout).findings.map(
    ({ rule, message }: { rule: string; message: string }) => `${rule}: ${message}`,
  );
}

test('foreign keys are matched with entries in the schemas of --search-path', async () => {
  writeFileSync(
    place.file('0001_users.sql'),
    `create schema app; create table users (id int primary key);
     create table public.countries (id int primary key, owner int references app.users);
     create table orders (id int, buyer int references users, country int references countries);`,
  );
  const entries = [
    entry('idx_buyer', 'orders (buyer)'),
    entry('idx_country', 'app.orders (country)'),
    entry('idx_owner', 'countries (owner)'),
  ];
  writeFileSync(place.file('indexes.json'), JSON.stringify(entries));

  expect(await lint('--search-path', 'app, public')).toEqual([]);
  // In public, `app.orders` is another table.
  expect(await lint()).toEqual([
    expect.stringMatching(/^foreign-key-without-index: Foreign key \(country\) of orders has no index/),
  ]);
});

test('an index that the registry lists is the same one, whether its schema is written or not', async () => {
  writeFileSync(
    place.file('0001_users.sql'),
    'create table users (id int); create index idx_users on users (id);',
  );
  writeFileSync(place.file('indexes.json'), JSON.stringify([entry('idx_users', 'app.users (id)')]));

  expect((await lint('--search-path', 'app')).join()).toContain(LISTED);
  expect((await lint()).join()).not.toContain(LISTED);
});

test.each([
  [
    'of a later schema of the path',
    { on: 'countries (id)', table: 'public.countries', path: 'app, public' },
    true,
  ],
  [
    'of a schema that is not in the path',
    { on: 'countries (id)', table: 'public.countries', path: 'app' },
    false,
  ],
  [
    'of a table that an earlier schema hides',
    { on: 'users (id)', table: 'public.users', path: 'app, public' },
    false,
  ],
])('whether an entry without a schema lists an index %s', async (_case, { on, table, path }, isListed) => {
  writeFileSync(
    place.file('0001_users.sql'),
    `create table app.users (id int); create table public.users (id int); create table public.countries (id int);
     create index idx_users on ${table} (id);`,
  );
  writeFileSync(place.file('indexes.json'), JSON.stringify([entry('idx_users', on)]));

  expect((await lint('--search-path', path)).join().includes(LISTED)).toBe(isListed);
});

test('an entry with schemas lists the index of each schema that matches', async () => {
  writeFileSync(
    place.file('0001_users.sql'),
    `create table tenant_1.users (id int); create index idx_users on tenant_1.users (id);`,
  );
  const of = (...schemas: string[]) => JSON.stringify([{ ...entry('idx_users', 'users (id)'), schemas }]);

  writeFileSync(place.file('indexes.json'), of('tenant_*'));
  expect((await lint()).join()).toContain(LISTED);
  writeFileSync(place.file('indexes.json'), of('tenant_*', '!tenant_1'));
  expect((await lint()).join()).not.toContain(LISTED);
});

test('the index of a constraint is found in the schemas of --search-path', async () => {
  writeFileSync(
    place.file('0001_users.sql'),
    `create table users (id int primary key, email text unique); create table public.countries (id int primary key);
     create unique index idx_email on users (email);`,
  );
  const entries = [entry('idx_users', 'users (id)'), entry('idx_countries', 'countries (id)')];
  writeFileSync(place.file('indexes.json'), JSON.stringify(entries));
  const found = (await lint('--search-path', 'app, public')).filter((text: string) =>
    text.startsWith('constraint-index'),
  );

  expect(found).toEqual([
    expect.stringContaining('constraint users_pkey'),
    expect.stringContaining('constraint countries_pkey'),
  ]);
});

test('the entry of an added constraint names the schema of its table, unless it is the first one', async () => {
  writeFileSync(
    place.file('0001_users.sql'),
    'create table app.users (id int); create table countries (id int);',
  );
  writeFileSync(
    place.file('0002_unique.sql'),
    `alter table users add constraint users_id unique (id);
     alter table public.countries add constraint countries_id unique (id);`,
  );
  writeFileSync(place.file('indexes.json'), '[]');
  const { stdout } = await place.run(
    ...['lint', '--indexes', 'indexes.json', '--migrations', '.', '--format', 'json'],
    ...['--search-path', 'app, public', '--start-after', '0001_users'],
  );
  const entries = JSON.parse(stdout).findings.map(({ entry: text }: { entry?: string }) => text ?? '');

  expect(entries.join()).toContain('on users (id)');
  expect(entries.join()).toContain('on public.countries (id)');
});

test('--fix writes tables of the first schema without it, and others with theirs', async () => {
  writeFileSync(
    place.file('0001_users.sql'),
    `create table users (id int); create table public.countries (id int);
     create index idx_users on app.users (id);
     create index idx_countries on countries (id);`,
  );
  writeFileSync(place.file('indexes.json'), '[]');

  expect(await lint('--search-path', 'app,public', '--fix')).toEqual([]);
  const written = JSON.parse(readFileSync(place.file('indexes.json'), 'utf8'));
  expect(written.map(({ sql }: { sql: string }) => sql.replace(/^.* on /, ''))).toEqual([
    'users (id)',
    'public.countries (id)',
  ]);
});

test('the search path of an environment in cdk.json applies without the flag', async () => {
  mkdirSync(place.file('migrations'));
  writeFileSync(
    place.file('migrations/0001_users.sql'),
    'create table users (id int); create index idx_users on users (id);',
  );
  writeFileSync(place.file('indexes.json'), JSON.stringify([entry('idx_users', 'app.users (id)')]));
  const secretArn = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:dev/postgres-AbCdEf';
  const environment = { indexes: 'indexes.json', migrations: 'migrations' };
  const run = async (database: object) => {
    const dev = { ...environment, database: { secretArn, ...database } };
    writeFileSync(place.file('cdk.json'), JSON.stringify({ context: { environments: { dev } } }));
    return (await place.run('lint')).stdout;
  };

  expect(await run({ searchPath: 'app, public' })).toContain(LISTED);
  expect(await run({})).not.toContain(LISTED);
});

test('a wrong --search-path is refused with the syntax', async () => {
  const { exitCode, stderr } = await place.run('lint', '--search-path', 'app public');
  expect(exitCode).toBe(2);
  expect(stderr).toContain('must be names of schemas, separated by commas, such as app, "$user", public');
});
