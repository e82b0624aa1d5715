import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { DeployStepStack } from '../../lib/index.ts';
import { NO_FILES, newApp, Shop } from '../constructs/support/shop.ts';

/** Types of the resources that CloudFormation leaves when it deletes the stack. */
function typesThatStay(retain: boolean): string[] {
  const outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-removal-'));
  try {
    const app = newApp(outdir);
    const shop = new Shop(app);
    const stack = new DeployStepStack(app, 'Deploys', {
      ...{ database: shop.database, services: [shop.api], migrations: 'none', files: NO_FILES },
      ...{ retain, alarms: true },
    });
    const resources = Object.values(Template.fromStack(stack).toJSON().Resources) as {
      Type: string;
      DeletionPolicy?: string;
    }[];
    const kept = resources.filter(({ DeletionPolicy }) => DeletionPolicy?.startsWith('Retain'));
    return [...new Set(kept.map(({ Type }) => Type))].toSorted();
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

// Versions are deleted with their functions and state machines.
const ALWAYS = [
  'AWS::IAM::Policy',
  'AWS::IAM::Role',
  'AWS::Lambda::Version',
  'AWS::StepFunctions::StateMachineVersion',
];

test('what a deleted stack leaves is what docs/upgrade.md lists', () => {
  expect(typesThatStay(false)).toEqual(ALWAYS);
  expect(typesThatStay(true)).toEqual(
    [...ALWAYS, 'AWS::KMS::Key', 'AWS::Logs::LogGroup', 'AWS::SNS::Topic'].toSorted(),
  );
});
