import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Artifact } from 'aws-cdk-lib/aws-codepipeline';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { PlanApproval } from '../../lib/pipeline/plan-approval.ts';
import { createScriptFolder, linesOf, type ScriptFolder } from '../support/bash-script.ts';
import { resourcesOfType } from './support/template-values.ts';

/*
 * The command of CodeBuild that reads the summary of a plan, as it is in the template, with a program in place of the AWS CLI.
 */

const EXECUTION = 'arn:aws:states:eu-central-1:222222222222:execution:pg-deploy-step-prod-deploy:pipeline-1';
const REPORT = { mode: 'plan', status: 'succeeded', summary: 'It would build 1 index ("a", $HOME, `b`).' };

let folder: ScriptFolder;

beforeEach(() => {
  folder = createScriptFolder();
});
afterEach(() => folder.remove());

interface BuildSpec {
  env: { shell: string; 'exported-variables': string[] };
  phases: { build: { commands: string[] } };
}

function buildSpecOf(): BuildSpec {
  const app = new App({ outdir: mkdtempSync(join(inject('runFolder'), 'plan-')) });
  const stack = new Stack(app, 'Stack', { env: { account: '111111111111', region: 'eu-west-1' } });
  new PlanApproval(stack, 'Plan', {
    ...{ actionName: 'Deploy-Step', environmentName: 'dev', input: new Artifact() },
  });
  const [source] = resourcesOfType(Template.fromStack(stack), 'AWS::CodeBuild::Project').map(
    ([, { Properties: properties }]) => properties.Source as { BuildSpec: string },
  );
  return JSON.parse(source?.BuildSpec ?? '');
}

/** Runs the command, then prints the variable as CodeBuild exports it. */
async function run(roleArn = '') {
  const { phases } = buildSpecOf();
  const script = `${phases.build.commands.join('\n')}\nprintenv Summary > "$FOLDER/exported"\n`;
  return await folder.run(script, { EXECUTION_ARN: EXECUTION, ROLE_ARN: roleArn });
}

/** Answers describe-execution with this text, and records its arguments and credentials. */
function describesAs(output: string): void {
  folder.program(
    'aws',
    `echo "$* \${AWS_SESSION_TOKEN:-no token}" >> "$FOLDER/calls"
     case "$2" in
       assume-role) echo '{"AccessKeyId":"AKIA","SecretAccessKey":"secret","SessionToken":"session"}' ;;
       describe-execution) printf '%s\\n' '${output}' ;;
     esac`,
  );
}

test('the summary is exported as it is', async () => {
  expect(buildSpecOf().env).toEqual({ shell: 'bash', 'exported-variables': ['Summary'] });
  describesAs(JSON.stringify(REPORT));

  expect(await run()).toEqual({ exitCode: 0, stdout: `${REPORT.summary}\n`, stderr: '' });
  expect(linesOf(folder.file('exported'))).toEqual([REPORT.summary]);
  expect(linesOf(folder.file('calls'))).toEqual([
    `stepfunctions describe-execution --region eu-central-1 --execution-arn ${EXECUTION} --query output --output text no token`,
  ]);
});

test('an execution of another account is described with its role, whose credentials are not printed', async () => {
  describesAs(JSON.stringify(REPORT));
  const role = 'arn:aws:iam::222222222222:role/pg-deploy-step-prod-pipeline';

  const { exitCode, stdout, stderr } = await run(role);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout).toBe(`${REPORT.summary}\n`);
  expect(linesOf(folder.file('calls'))).toEqual([
    `sts assume-role --role-arn ${role} --role-session-name plan-summary --query Credentials --output json no token`,
    expect.stringMatching(/^stepfunctions describe-execution .* session$/),
  ]);
});

test.each([
  ['a report without a summary, of an older version', '{"mode":"plan"}'],
  ['no report', 'None'],
])('%s fails the action', async (_, output) => {
  describesAs(output);

  const { exitCode, stderr } = await run();
  expect(exitCode).toBe(1);
  expect(stderr).toContain('The report of the plan has no summary: deploy the stack of the environment');
});

test.each(['describe-execution', 'assume-role'])('a refused %s fails the action', async (call) => {
  folder.program(
    'aws',
    `[ "$2" != ${call} ] || { echo AccessDenied >&2; exit 254; }; echo '{"AccessKeyId":"a","SecretAccessKey":"b","SessionToken":"c"}'`,
  );

  const { exitCode, stderr } = await run('arn:aws:iam::222222222222:role/r');
  expect(exitCode).toBe(1);
  expect(stderr).toBe('AccessDenied\n');
});
