import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Artifact, Pipeline } from 'aws-cdk-lib/aws-codepipeline';
import { S3SourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import { LONGEST_STACK_NAME, resourceNamesOf } from '../../lib/config/resource-names.ts';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { DeployStepAction } from '../../lib/pipeline/deploy-step-action.ts';
import { ecsTaskInput, prodInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { resourcesOf } from './support/template-values.ts';

/** Properties that hold a fixed name. */
const NAMES = [
  ...['FunctionName', 'StateMachineName', 'TopicName', 'AlarmName', 'LogGroupName', 'RoleName'],
  ...['Name', 'RuleName', 'AliasName'],
];

const prefixed = (namePrefix: string) => ({
  ...ecsTaskInput(),
  alarms: true,
  stack: { namePrefix },
});

let acme: Synthesised;
let other: Synthesised;
beforeAll(async () => {
  acme = await synthesise({ prod: prefixed('acme') });
  other = await synthesise({ prod: prefixed('acme-two') });
});
afterAll(() => {
  acme?.dispose();
  other?.dispose();
});

/** The fixed names of the stack `prod`. */
function namesIn(synthesised: Synthesised): string[] {
  return Object.values(resourcesOf(synthesised.template('prod'))).flatMap(({ Properties: properties = {} }) =>
    NAMES.flatMap((name) => (typeof properties[name] === 'string' ? [properties[name]] : [])),
  );
}

describe('stack.namePrefix', () => {
  test('is the beginning of each fixed name', () => {
    const names = namesIn(acme).map((name) => name.replace(/^\/aws\/(lambda|vendedlogs\/states)\//, ''));

    // Four machines, nine functions, their log groups, three rules, the topic, the alarms.
    expect(names.length).toBeGreaterThan(30);
    expect(names.filter((name) => !name.startsWith('acme-pg-deploy-step-prod-'))).toEqual([]);
  });

  test('is in every reference to such a name: parameters, metrics, groups of tasks, permissions, messages', () => {
    const template = JSON.stringify(acme.template('prod').toJSON());

    expect(template.match(/(?<!acme-)pg-deploy-step[-/]prod[^"\\]*/g) ?? []).toEqual([]);
    for (const name of [
      '/acme-pg-deploy-step/prod/services',
      '/acme-pg-deploy-step/prod/deploy-lock',
      'acme-pg-deploy-step-prod-migrations',
    ])
      expect(template).toContain(name);
  });

  test('keeps two stacks of one account and one environment name apart', () => {
    const names = new Set(namesIn(acme));

    expect(namesIn(other).filter((name) => names.has(name))).toEqual([]);
  });

  test('is the beginning of the name of the machine that a pipeline starts', () => {
    const stack = new Stack(
      new App({ outdir: mkdtempSync(join(inject('runFolder'), 'prefix-')) }),
      'pipeline',
      { env: { account: '111111111111', region: 'eu-west-1' } },
    );
    const output = new Artifact();
    const source = new S3SourceAction({
      ...{ actionName: 'Source', bucket: new Bucket(stack, 'Source'), bucketKey: 'app.zip', output },
    });
    new Pipeline(stack, 'Pipeline', {
      stages: [
        { stageName: 'Source', actions: [source] },
        {
          stageName: 'Deploy',
          actions: [
            new DeployStepAction(stack, 'Machine', {
              ...{ actionName: 'Deploy-Step', environmentName: 'prod', namePrefix: 'acme' },
            }),
          ],
        },
      ],
    });

    const template = JSON.stringify(Template.fromStack(stack).toJSON());

    expect(template).toContain('stateMachine:acme-pg-deploy-step-prod-deploy');
    expect(template).not.toMatch(/(?<!acme-)pg-deploy-step-prod/);
  });
});

describe('a prefix is refused', () => {
  const environments = (name: string, namePrefix: string) => ({
    [name]: { ...prodInput(), stack: { namePrefix } },
  });

  test.each([
    'Acme',
    'acme-',
    '-acme',
    '1acme',
    'acme_1',
    'acme--two',
    'aws-team',
    'ssm',
    'x-pg-deploy-step',
    '',
  ])('if AWS does not accept it everywhere, or if it can make two names equal: "%s"', (prefix) => {
    expect(() => parseEnvironments(environments('prod', prefix))).toThrow(
      'environments.prod.stack.namePrefix: must consist of lower-case letters, digits and single hyphens',
    );
  });

  test('if a name of a function would be too long, and the message says how long it may be', () => {
    const longest = 'a'.repeat(LONGEST_STACK_NAME - '-pg-deploy-step-prod'.length);

    expect(() => parseEnvironments(environments('prod', longest))).not.toThrow();
    expect(() => parseEnvironments(environments('prod', `${longest}a`))).toThrow(
      `environments.prod.stack.namePrefix: must have at most ${longest.length} characters for this environment`,
    );
    const { stack } = resourceNamesOf('prod', longest);
    expect(Math.max(...FUNCTIONS.map((name) => `${stack}-${name}`.length))).toBe(64);
  });
});
