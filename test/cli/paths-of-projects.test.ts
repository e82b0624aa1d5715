import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

let place: CommandFolder;

beforeEach(() => {
  place = createCommandFolder();
});
afterEach(() => place.remove());

/** Writes a file of a project beside the working directory. @returns its absolute path */
function inProject(name: string, text: string): string {
  const file = `${place.root}/project/${name}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const CODE = `import type { MigrationBuilder } from 'node-pg-migrate';

interface Names {
  readonly table: string;
}

const names: Names = { table: 't' };

export const up = (pgm: MigrationBuilder): void => {
  pgm.createIndex(names.table, 'a', { name: 'of_builder' });
  pgm.sql(\`
    -- für Berichte
    select 1;
    create index of_text on t (b);
  \`);
};
`;

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly message: string;
  readonly entry?: string;
}

test('descriptions and findings have the same paths on every machine, wherever the command runs', async () => {
  mkdirSync(`${place.root}/project/.git`, { recursive: true });
  const first = inProject('db/migrations/001_t.sql', 'create table t (a int, b int);\n');
  inProject('db/migrations/002_i.sql', '\ncreate index i on t (a);\n');
  inProject('db/migrations/003_d.sql', 'drop index i;\n');
  inProject('db/migrations/004_j.sql', 'create index j on t (b);\n');
  const migrations = dirname(first);
  const indexes = inProject('db/indexes.json', '[]');

  const imported = JSON.parse((await place.run('import', migrations, '--json')).stdout);
  expect(imported.entries).toMatchObject([
    {
      name: 'j',
      description: 'Imported from db/migrations/004_j.sql, line 1. Describe what uses this index.',
    },
  ]);

  const { stdout } = await place.run(
    'lint',
    '--indexes',
    indexes,
    '--migrations',
    migrations,
    '--format',
    'json',
  );
  const findings: Finding[] = JSON.parse(stdout).findings;
  expect([...new Set(findings.map(({ file }) => file))]).toEqual([
    'db/migrations/002_i.sql',
    'db/migrations/003_d.sql',
    'db/migrations/004_j.sql',
  ]);
  expect(stdout).not.toContain(place.root);
  expect(findings[0]?.message).toContain('db/migrations/003_d.sql, line 1 drops it');
});

describe('annotations for GitHub in a monorepo have paths from the root of the repository', () => {
  /** A repository with a project in a folder, which has a package.json of its own. */
  function monorepo(): string {
    const root = `${place.directory}/monorepo`;
    for (const [name, text] of Object.entries({
      'package.json': '{}',
      'services/shop/package.json': '{}',
      'services/shop/db/indexes.json': '[]',
      'services/shop/db/migrations/001_t.sql': 'create table t (a int);\n',
      'services/shop/db/migrations/002_i.sql': 'create index i on t (a);\n',
    })) {
      mkdirSync(dirname(`${root}/${name}`), { recursive: true });
      writeFileSync(`${root}/${name}`, text);
    }
    return root;
  }

  /** The files of the annotations, and of the result as JSON. */
  async function filesOf(root: string): Promise<(string | undefined)[]> {
    const database = `${root}/services/shop/db`;
    const args = ['lint', '--indexes', `${database}/indexes.json`, '--migrations', `${database}/migrations`];
    const github = await place.run(...args, '--format', 'github');
    const json = await place.run(...args, '--format', 'json');
    const findings: Finding[] = JSON.parse(json.stdout).findings;
    return [/^::error file=([^,]+),/.exec(github.stdout)?.[1], ...findings.map(({ file }) => file)];
  }

  const inRepository = 'services/shop/db/migrations/002_i.sql';

  test('with the folder of Git', async () => {
    const root = monorepo();
    mkdirSync(`${root}/.git`);

    expect(await filesOf(root)).toEqual([inRepository, inRepository]);
  });

  test.each(['GITHUB_WORKSPACE', 'CI_PROJECT_DIR'])(
    'with %s, if the checkout has no folder of Git',
    async (variable) => {
      const root = monorepo();
      expect(await filesOf(root)).toEqual(['db/migrations/002_i.sql', 'db/migrations/002_i.sql']);

      place.variables[variable] = root;
      expect(await filesOf(root)).toEqual([inRepository, inRepository]);

      symlinkSync(root, `${place.directory}/link`);
      place.variables[variable] = `${place.directory}/link`;
      expect(await filesOf(root)).toEqual([inRepository, inRepository]);
    },
  );
});

test('entries to paste are written as the registry is: JSON for a JSON registry', async () => {
  mkdirSync(`${place.root}/project/.git`, { recursive: true });
  const migration = inProject(
    'migrations/001.sql',
    'create table u (id int primary key);\ncreate table t (a int, u int references u);\ncreate index a_long_name_of_an_index on t (lower(a::text), u) where a > 0;\n',
  );
  const json = inProject('indexes.json', '[]');
  const run = await place.run('lint', '--indexes', json, '--migrations', migration, '--format', 'json');
  const findings: Finding[] = JSON.parse(run.stdout).findings;
  const entries = findings.flatMap(({ entry }) => (entry === undefined ? [] : [JSON.parse(entry)]));
  expect(entries.map(({ name }) => name).toSorted()).toEqual(['a_long_name_of_an_index', 'idx_t_u']);

  const ts = inProject('indexes.ts', 'export default [];\n');
  const text = await place.run('lint', '--indexes', ts, '--migrations', migration);
  expect(text.stdout).toContain("name: 'idx_t_u',");
});

test('places in migrations that are code are those of the calls, and of SQL in the code', async () => {
  mkdirSync(`${place.root}/project/.git`, { recursive: true });
  const first = inProject(
    'migrations/1700000000000_t.sql',
    '-- Up Migration\ncreate table t (a int, b int);\n',
  );
  inProject('migrations/1700000000001_i.ts', CODE);
  const migrations = dirname(first);
  const file = 'migrations/1700000000001_i.ts';

  const imported = JSON.parse((await place.run('import', migrations, '--json')).stdout);
  expect(
    imported.entries.map(({ name, description }: { name: string; description: string }) => [
      name,
      description,
    ]),
  ).toEqual([
    ['of_builder', `Imported from ${file}, line 10. Describe what uses this index.`],
    ['of_text', `Imported from ${file}, line 14. Describe what uses this index.`],
  ]);

  const indexes = inProject('indexes.ts', 'export default [];\n');
  const { stdout } = await place.run(
    'lint',
    '--indexes',
    indexes,
    '--migrations',
    migrations,
    '--format',
    'json',
  );
  const findings: (Finding & { rule: string; column: number })[] = JSON.parse(stdout).findings;
  const created = findings.filter(({ rule }) => rule === 'create-index');
  expect(created.map((one) => [one.file, one.line, one.column])).toEqual([
    [file, 10, 7],
    [file, 14, 5],
  ]);
});

test('an index that a file drops and creates again gets an entry with onDrift: "rebuild", and --fix leaves both statements', async () => {
  mkdirSync(`${place.root}/project/.git`, { recursive: true });
  const first = inProject('migrations/001.sql', 'create table t (a int, b int);\n');
  const second = 'drop index i;\ncreate index i on t (a, b);\n';
  inProject('migrations/002.sql', second);
  const indexes = inProject('indexes.json', '[]');
  const args = ['lint', '--indexes', indexes, '--migrations', dirname(first), '--format', 'json'];

  const findings: Finding[] = JSON.parse((await place.run(...args)).stdout).findings;
  expect(findings).toMatchObject([
    {
      line: 1,
      message: expect.stringContaining(
        'line 2 creates i again. Remove these statements, and write the new definition',
      ),
    },
    {
      line: 2,
      message: expect.stringContaining('Line 1 drops the index of this name: remove both statements'),
    },
  ]);
  for (const { message } of findings) {
    expect(message).toContain('onDrift: "rebuild"');
    expect(message).not.toContain('DROP INDEX CONCURRENTLY');
  }
  expect(JSON.parse(findings[1]?.entry ?? '')).toMatchObject({ name: 'i', onDrift: 'rebuild' });

  const { kept, moved } = JSON.parse((await place.run(...args, '--fix')).stdout);
  expect(moved).toEqual([]);
  expect(kept).toMatchObject([
    { name: 'i', file: 'migrations/002.sql', reason: expect.stringContaining('onDrift') },
  ]);
});
