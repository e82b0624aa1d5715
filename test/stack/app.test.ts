import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runApp } from './support/run-app.ts';
import { PROJECT_ROOT, readContext } from './support/synthesise.ts';

const APP = join(PROJECT_ROOT, 'bin/app.ts');

test('the app creates a stack for each environment of cdk.json, without an account', async () => {
  const run = await runApp(APP);
  try {
    expect(run.stderr).not.toContain('Error');
    expect(run.exitCode).toBe(0);
    expect(run.stacks.sort()).toEqual(['pg-deploy-step-dev', 'pg-deploy-step-prod']);
    run.template('pg-deploy-step-dev').hasResourceProperties('AWS::StepFunctions::StateMachine', {
      StateMachineName: 'pg-deploy-step-dev-deploy',
    });
  } finally {
    run.dispose();
  }
});

test('the app refuses a wrong value and shows its path', async () => {
  const context = readContext();
  const run = await runApp(APP, {
    environments: { dev: { ...context.environments.dev, builds: { lockTimeoutSeconds: 1 } } },
  });
  try {
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toContain('ConfigurationError');
    expect(run.stderr).toContain('environments.dev.builds.lockTimeoutSeconds: must be at least 3');
    expect(run.stderr).not.toMatch(/^ +at /m);
  } finally {
    run.dispose();
  }
});

test('the app refuses a folder of migrations that does not exist and shows its path', async () => {
  const context = readContext();
  const run = await runApp(APP, {
    environments: { dev: { ...context.environments.dev, migrations: 'database/migratons' } },
  });
  try {
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toContain(join(PROJECT_ROOT, 'database/migratons'));
  } finally {
    run.dispose();
  }
});

test('the app refuses a wrong registry and shows the place of every problem', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'registry-'));
  const file = join(folder, 'indexes.ts');
  writeFileSync(
    file,
    `export default [
  {
    name: 'idx_deals_status',
    sql: \`create index if not exists idx_deals_status
      on only deals (status)\`,
    descripton: "A tenant's deals by status",
  },
] as const;
`,
  );
  const context = readContext();
  const run = await runApp(APP, { environments: { dev: { ...context.environments.dev, indexes: file } } });
  try {
    expect(run.exitCode).toBe(1);
    const entry = 'entry 1 "idx_deals_status"';
    expect(run.stderr).toContain(
      [
        'RegistryError: The index registry has 4 problems:',
        `  - ${file}:2:3: ${entry}: description: it must describe the purpose of the index in a sentence`,
        `  - ${file}:6:5: ${entry}: descripton: unknown field; ` +
          'valid fields: name, sql, critical, description, serves, onDrift, accept, constraint, retired, schemas',
        `  - ${file}:4:18: ${entry}: sql: CONCURRENTLY is missing, ` +
          'so the build would block all writes to the table; write create index concurrently',
        `  - ${file}:5:10: ${entry}: sql: ON ONLY skips the partitions, ` +
          'so the index would stay invalid; remove ONLY, because the deploy builds the index on each partition',
      ].join('\n'),
    );
  } finally {
    run.dispose();
    rmSync(folder, { recursive: true });
  }
});
