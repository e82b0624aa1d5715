import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, type Stack } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CdkPipelinesStack } from '../../examples/pipeline/cdk-pipelines-stack.ts';
import { CodePipelineStack, type Place } from '../../examples/pipeline/code-pipeline-stack.ts';
import { writeDemoMigrations } from '../../examples/playground/demo-migrations.ts';
import { PlaygroundStack } from '../../examples/playground/playground-stack.ts';
import { createStacks, type IntegStacks } from '../../integ/stacks.ts';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import {
  ACCEPTED_IN_EXAMPLES,
  ACCEPTED_IN_INTEG,
  ACCEPTED_IN_PLAYGROUND,
  ACCEPTED_IN_STACK,
  generalRule,
} from './support/accepted-findings.ts';
import {
  ecsTaskInput,
  ecsTaskOnEc2Input,
  everyKindInput,
  iamInput,
  lambdaInput,
  PROJECT_ROOT,
  productionInput,
  readContext,
  type Synthesised,
  synthesise,
} from './support/synthesise.ts';

const PACKS = { AwsSolutions: AwsSolutionsChecks, Serverless: ServerlessChecks };
const ENVIRONMENTS = {
  ...readContext().environments,
  every: everyKindInput(),
  task: ecsTaskInput(),
  ec2: ecsTaskOnEc2Input(),
  fn: lambdaInput(),
  iam: iamInput(),
  production: productionInput(),
  alarms: { ...everyKindInput(), alarms: true },
};
const EXAMPLES = ['before', 'around', 'after-approval', 'cdk-pipelines', 'environment-of-pipeline'] as const;
const INTEG = ['environment', 'deployStep', 'assertions'] as const satisfies (keyof IntegStacks)[];

let synthesised: Synthesised;
let folder: string;
let examples: Record<(typeof EXAMPLES)[number], Stack>;
let integ: IntegStacks;
let playground: Stack;

beforeAll(async () => {
  synthesised = await synthesise(ENVIRONMENTS);
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-nag-'));
  const app = new App({ outdir: folder, builtinCloudFormationValidation: false });
  const source = { owner: 'o', repo: 'r', branch: 'main', connectionArn: 'arn:aws:codeconnections:::c' };
  const { dev, prod } = parseEnvironments(readContext().environments);
  if (dev === undefined || prod === undefined) throw new Error('cdk.json has no environments "dev", "prod".');
  const pipelineIn = (place: Place) =>
    new CodePipelineStack(app, place, { source, environmentName: 'dev', place });
  const cdkPipelines = new CdkPipelinesStack(app, 'cdk-pipelines', {
    ...{ source, environments: { dev, prod }, approved: ['prod'], projectRoot: PROJECT_ROOT },
    env: { account: '111111111111', region: 'eu-west-1' },
  });
  examples = {
    before: pipelineIn('before'),
    around: pipelineIn('around'),
    'after-approval': pipelineIn('after-approval'),
    'cdk-pipelines': cdkPipelines,
    // With the role for a pipeline of another account.
    'environment-of-pipeline': cdkPipelines.node.findChild('prod').node.findChild('pg-deploy-step') as Stack,
  };
  integ = await createStacks(app);
  const migrations = join(folder, 'demo-migrations');
  writeDemoMigrations(migrations);
  playground = new PlaygroundStack(app, 'playground', { migrations });
  // The pipeline of CDK Pipelines is complete only then.
  app.synth();
});
afterAll(() => {
  synthesised?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const used = new Set<string>();

/** The rules of the findings that are not accepted. The others count as used. */
function findings(stack: Stack, pack: keyof typeof PACKS, accepted: readonly string[]): string[] {
  const { violations } = new PACKS[pack](stack).validateScope(stack);
  const rules = violations.map(({ ruleName }) => generalRule(ruleName));
  for (const rule of rules) used.add(rule);
  return [...new Set(rules)].filter((rule) => !accepted.includes(rule));
}

const rulesOf = (list: typeof ACCEPTED_IN_STACK) => list.map(({ rule }) => rule);

describe.each(Object.keys(PACKS) as (keyof typeof PACKS)[])(
  '%s finds only what is accepted with a reason',
  (pack) => {
    test.each(Object.keys(ENVIRONMENTS))('in the stack of the environment %s', (name) => {
      expect(findings(synthesised.stack(name), pack, rulesOf(ACCEPTED_IN_STACK))).toEqual([]);
    });

    test.each(EXAMPLES)('in the example %s', (name) => {
      const accepted = [...rulesOf(ACCEPTED_IN_STACK), ...rulesOf(ACCEPTED_IN_EXAMPLES)];

      expect(findings(examples[name], pack, accepted)).toEqual([]);
    });

    test('in the playground', () => {
      const accepted = [
        ...rulesOf(ACCEPTED_IN_STACK),
        ...rulesOf(ACCEPTED_IN_INTEG),
        ...rulesOf(ACCEPTED_IN_PLAYGROUND),
      ];

      expect(findings(playground, pack, accepted)).toEqual([]);
    });

    test.each(INTEG)('in the stack %s of the test on AWS', (name) => {
      const accepted = [
        ...rulesOf(ACCEPTED_IN_STACK),
        ...(name === 'deployStep' ? [] : rulesOf(ACCEPTED_IN_INTEG)),
      ];

      expect(findings(integ[name], pack, accepted)).toEqual([]);
    });
  },
);

test('every accepted finding exists, and has a reason of its own', () => {
  const accepted = [
    ...ACCEPTED_IN_STACK,
    ...ACCEPTED_IN_EXAMPLES,
    ...ACCEPTED_IN_INTEG,
    ...ACCEPTED_IN_PLAYGROUND,
  ];

  expect(rulesOf(accepted).filter((rule) => !used.has(rule))).toEqual([]);
  expect(new Set(rulesOf(accepted)).size).toBe(accepted.length);
  for (const { reason } of accepted) expect(reason).toMatch(/^[A-Z].{20,}\.$/);
});
