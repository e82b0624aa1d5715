import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runApp } from './support/run-app.ts';
import { PROJECT_ROOT, readContext } from './support/synthesise.ts';

const APP = join(PROJECT_ROOT, 'bin/app.ts');

test('the app makes a stack for each environment of cdk.json, without an account', async () => {
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

test('the app refuses a wrong value and names its path', async () => {
  const context = readContext();
  const run = await runApp(APP, {
    environments: { dev: { ...context.environments.dev, builds: { lockTimeoutSeconds: 1 } } },
  });
  try {
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toContain('ConfigurationError');
    expect(run.stderr).toContain('environments.dev.builds.lockTimeoutSeconds: at least 3');
  } finally {
    run.dispose();
  }
});

test('the app refuses a folder of migrations that is not there, with its path', async () => {
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
