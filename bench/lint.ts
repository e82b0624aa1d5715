/*
 * Compares the time to lint a long history with the time that PostgreSQL's parser needs to read the same files. The first
 * argument is the number of migrations (default: 5,000). Each has the statements of a typical release.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModule, parseSync } from 'libpg-query';
import { lintMigrations } from '../lib/lint/lint-migrations.ts';
import { RegisteredIndexes } from '../lib/registry/registered-indexes.ts';
import { seconds } from './measure.ts';

const COUNT = Number(process.argv[2] ?? 5_000);

function migration(number: number): string {
  const table = `feature_${number}`;
  return `-- Release ${number}
create table ${table} (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants,
  name text not null check (name <> ''),
  created_at timestamptz not null default now(),
  unique (tenant_id, name)
);
alter table deals add column ${table}_id bigint references ${table};
update deals set ${table}_id = null where created_at < '2020-01-01';
create index on deals (tenant_id, ${table}_id) where ${table}_id is not null;
create function ${table}_touch() returns trigger language plpgsql as $$
begin
  new.created_at := now();
  if new.name = '' then raise exception 'no name'; end if;
  return new;
end
$$;
create trigger touch before update on ${table} for each row execute function ${table}_touch();
do $$ begin perform 1; end $$;
`;
}

await loadModule();
const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
try {
  mkdirSync(join(folder, 'migrations'));
  for (let number = 1; number <= COUNT; number += 1) {
    writeFileSync(
      join(folder, 'migrations', `${String(number).padStart(6, '0')}_release.sql`),
      migration(number),
    );
  }
  const paths = [join(folder, 'migrations')];
  for (const round of [1, 2, 3]) {
    const parse = await timed(() => {
      for (const file of readdirSync(join(folder, 'migrations'))) {
        parseSync(readFileSync(join(folder, 'migrations', file), 'utf8'));
      }
    });
    let findingCount = 0;
    const lint = await timed(async () => {
      const registered = new RegisteredIndexes([]);
      const { findings } = await lintMigrations({
        paths,
        startAfter: null,
        registered,
        onProgress: () => {},
      });
      findingCount = findings.length;
    });
    if (findingCount !== COUNT) {
      throw new Error(`Lint reported ${findingCount} findings instead of ${COUNT}, one for each migration.`);
    }
    console.log(
      `round ${round}: ${COUNT} migrations linted in ${seconds(lint)}, parsed in ${seconds(parse)} (ratio ${(lint / parse).toFixed(1)})`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function timed(work: () => void | Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
