import { mkdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { examineProject } from '../../lib/init/examine-project.ts';
import { gitHubWorkflow, gitLabJob } from '../../lib/init/new-job.ts';
import { createScriptFolder, linesOf, type ScriptFolder } from '../support/bash-script.ts';

/*
 * The jobs of examples/ci: their structure, and their scripts, which run as they are with a program in place of the AWS CLI.
 */

interface Step {
  uses?: string;
  run?: string;
  env?: Record<string, string | number>;
  with?: Record<string, string | number>;
}
interface GitHubJob {
  if?: string;
  needs?: string;
  environment?: string;
  permissions?: Record<string, string>;
  'timeout-minutes': number;
  steps: Step[];
}
interface GitHubWorkflow {
  on: { workflow_call: { inputs: Record<string, { type: string; required?: boolean; default?: unknown }> } };
  permissions: Record<string, string>;
  jobs: Record<'check' | 'plan' | 'deploy', GitHubJob>;
}
interface GitLabJob {
  script?: string[];
  extends?: string;
  rules?: { if: string; when?: string }[];
  environment?: string;
  timeout?: string;
  id_tokens?: Record<string, { aud: string }>;
  variables: Record<string, string | number>;
}

const read = (file: string) => parse(readFileSync(`examples/ci/${file}`, 'utf8'));
const GITHUB: GitHubWorkflow = read('github/pg-deploy-step.yml');
const GITLAB: Record<string, GitLabJob> = read('gitlab/pg-deploy-step.yml');

const gitHubStep = (job: 'plan' | 'deploy') => GITHUB.jobs[job].steps.at(-1) as Step;
const gitLabScript = GITLAB['.pg-deploy-step-execution']?.script?.[0] ?? '';
const EXECUTION = 'arn:aws:states:eu-west-1:111111111111:execution:pg-deploy-step-prod-deploy:ci-1';

describe('the workflow of GitHub', () => {
  test('can be called with the inputs that its caller gives', () => {
    const { inputs } = GITHUB.on.workflow_call;
    const caller: { jobs: { database: { uses: string; with: Record<string, string> } } } =
      read('github/deploy.yml');
    const required = Object.keys(inputs).filter((name) => inputs[name]?.required);

    expect(caller.jobs.database.uses).toBe('./.github/workflows/pg-deploy-step.yml');
    expect(Object.keys(caller.jobs.database.with).toSorted()).toEqual(required.toSorted());
    const used = [
      ...readFileSync('examples/ci/github/pg-deploy-step.yml', 'utf8').matchAll(/inputs\.([a-z-]+)/g),
    ];
    expect([...new Set(used.map(([, name]) => name))].toSorted()).toEqual(Object.keys(inputs).toSorted());
  });

  test('gets a token of OIDC in the jobs that use AWS only, and has no keys', () => {
    expect(GITHUB.permissions).toEqual({ contents: 'read' });
    expect(GITHUB.jobs.check.permissions).toBeUndefined();
    for (const job of ['plan', 'deploy'] as const) {
      expect(GITHUB.jobs[job].permissions).toEqual({ contents: 'read', 'id-token': 'write' });
      expect(GITHUB.jobs[job].steps[0]?.with).toMatchObject({
        'role-to-assume': expect.stringMatching(/^\$\{\{ inputs\.role-arn \}\}$/),
      });
    }
    expect(readFileSync('examples/ci/github/pg-deploy-step.yml', 'utf8')).not.toMatch(
      /secret-access-key|access-key-id/,
    );
  });

  test('deploys after the plan, in an environment with reviewers, and checks pull requests only', () => {
    expect([GITHUB.jobs.check.if, GITHUB.jobs.plan.if]).toEqual([
      "github.event_name == 'pull_request'",
      "github.event_name != 'pull_request'",
    ]);
    expect(GITHUB.jobs.deploy).toMatchObject({
      needs: 'plan',
      environment: expect.stringMatching(/inputs\.environment/),
    });
    expect(GITHUB.jobs.check.steps.some(({ run = '' }) => run.includes('lint --format github'))).toBe(true);
  });

  test('inserts no value into a script: variables bring them', () => {
    for (const { steps } of Object.values(GITHUB.jobs)) {
      for (const { run = '' } of steps) expect(run).not.toContain('${{');
    }
  });

  test('waits shorter than the job and the credentials last', () => {
    const { deploy } = GITHUB.jobs;
    const longest = Number(GITHUB.on.workflow_call.inputs['timeout-minutes']?.default);
    expect(longest).toBeLessThan(deploy['timeout-minutes']);
    expect(longest * 60).toBeLessThan(Number(deploy.steps[0]?.with?.['role-duration-seconds']));
    expect(Number(gitHubStep('plan').env?.TIMEOUT_MINUTES)).toBeLessThan(GITHUB.jobs.plan['timeout-minutes']);
  });
});

describe('the jobs of GitLab', () => {
  test('deploy when a person starts the job, and get a token of OIDC', () => {
    expect(GITLAB['.pg-deploy-step-execution']?.id_tokens).toEqual({
      AWS_TOKEN: { aud: 'https://gitlab.com' },
    });
    expect(GITLAB['pg-deploy-step-deploy']).toMatchObject({
      extends: '.pg-deploy-step-execution',
      environment: 'prod',
      rules: [{ if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH', when: 'manual' }],
    });
    expect(GITLAB['pg-deploy-step-deploy']?.variables.TIMEOUT_MINUTES).toBeLessThan(4 * 60);
    expect(GITLAB['pg-deploy-step-plan']?.variables).toMatchObject({ INPUT: '{"mode":"plan"}' });
  });

  test('run the script of GitHub', () => {
    const afterVariables = (script = '') => script.slice(script.indexOf('field() {'));
    expect(afterVariables(gitLabScript)).toBe(afterVariables(gitHubStep('deploy').run));
    expect(afterVariables(gitHubStep('plan').run)).toBe(afterVariables(gitHubStep('deploy').run));
  });
});

describe('the jobs for pull requests', () => {
  const scriptsOf = ({ steps }: GitHubJob) => steps.flatMap(({ run = [] }) => run);
  let folder: ScriptFolder;

  beforeEach(() => {
    folder = createScriptFolder();
  });
  afterEach(() => folder.remove());

  test('are those that init writes', async () => {
    mkdirSync(folder.file('project'));
    const project = await examineProject(folder.file('project'), { path: undefined, runCode: false });
    const github: { jobs: { 'lint-and-plan': GitHubJob } } = parse(gitHubWorkflow(project));
    const gitlab: { 'pg-deploy-step': GitLabJob } = parse(gitLabJob(project));
    const withFiles = (script: string) =>
      script
        .replace('"$INDEXES"', 'database/indexes.ts')
        .replace('"$MIGRATIONS"', 'database/migrations')
        .replace(/ \\\n\s+/, ' ')
        .trimEnd();

    expect(scriptsOf(GITHUB.jobs.check).map(withFiles)).toEqual(
      scriptsOf(github.jobs['lint-and-plan']).map(withFiles),
    );
    expect(GITLAB['pg-deploy-step-check']?.script).toEqual(gitlab['pg-deploy-step'].script);
  });

  test.each([0, 1])('add the plan to the summary of the job, and exit with its code %i', async (code) => {
    folder.program('npx', `echo "$*"; exit ${code}`);
    const { exitCode } = await folder.run(scriptsOf(GITHUB.jobs.check).at(-1) ?? '', {
      ...{ INDEXES: 'my indexes.ts', MIGRATIONS: 'none', DATABASE_URL: 'postgres://' },
      ...{ RUNNER_TEMP: folder.file('.'), GITHUB_STEP_SUMMARY: folder.file('job-summary') },
    });

    expect(exitCode).toBe(code);
    expect(folder.read('job-summary')).toBe(
      code === 0
        ? '### pg-deploy-step: plan\n\n    pg-deploy-step run --mode plan --indexes my indexes.ts --migrations none --services none --seed none --database-url env\n'
        : '',
    );
  });
});

describe.each([
  ['GitHub', gitHubStep('deploy').run ?? '', 'job-summary'],
  ['GitLab', gitLabScript, 'summary.md'],
])('the script of %s', (_, script, summaryFile) => {
  let folder: ScriptFolder;

  beforeEach(() => {
    folder = createScriptFolder();
  });
  afterEach(() => folder.remove());

  /** @param answers of describe-execution, in turn; the last one is repeated. A text that is no JSON is an error. */
  async function run(answers: readonly (object | string)[], { minutes = 60, start = '' } = {}) {
    answers.forEach((answer, at) => {
      folder.write(`answer-${at + 1}`, typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
    folder.program(
      'aws',
      `echo "$*" >> "$FOLDER/calls"
       case "$2" in
         start-execution) ${start} echo ${EXECUTION} ;;
         describe-execution)
           at=$(grep -c describe-execution "$FOLDER/calls")
           [ "$at" -le ${answers.length} ] || at=${answers.length}
           grep -q '^{' "$FOLDER/answer-$at" || { cat "$FOLDER/answer-$at" >&2; exit 254; }
           cat "$FOLDER/answer-$at" ;;
       esac`,
    );
    const ended = await folder.run(script, {
      STATE_MACHINE_ARN: 'arn:machine',
      PG_DEPLOY_STEP_STATE_MACHINE_ARN: 'arn:machine',
      ...{ EXECUTION_NAME: 'ci-deploy-7', CI_JOB_ID: '7', INPUT: '{"force": true}', WHAT: 'deploy' },
      ...{ TIMEOUT_MINUTES: String(minutes), POLL_SECONDS: '0' },
      GITHUB_STEP_SUMMARY: folder.file('job-summary'),
    });
    return { ...ended, summary: folder.read(summaryFile) };
  }

  const RUNNING = { status: 'RUNNING' };
  const succeeded = (report: object) => ({ status: 'SUCCEEDED', output: JSON.stringify(report) });

  test('waits for a deploy that succeeds, and adds its summary', async () => {
    const summary = 'The deploy succeeded in 13 s. Failed: "idx`a", $(id) \\ %s.';
    const { exitCode, summary: text } = await run([RUNNING, RUNNING, succeeded({ summary })]);

    expect(exitCode).toBe(0);
    expect(text).toBe(`### pg-deploy-step: deploy\n\n    ${summary}\n\n`);
    expect(linesOf(folder.file('calls'))).toEqual([
      'stepfunctions start-execution --state-machine-arn arn:machine --name ci-deploy-7 --input {"force": true} --query executionArn --output text',
      ...Array(3).fill(`stepfunctions describe-execution --execution-arn ${EXECUTION} --output json`),
    ]);
  });

  test.each([
    [
      'fails',
      { status: 'FAILED', error: 'DeployFailed', cause: 'The migration 0007 failed.' },
      'FAILED: The migration 0007 failed.',
    ],
    ['times out', { status: 'TIMED_OUT' }, 'TIMED_OUT: no cause'],
    ['is aborted', { status: 'ABORTED', error: 'by someone' }, 'ABORTED: by someone'],
  ])('exits with 1 if the deploy %s', async (_name, answer, expected) => {
    const { exitCode, summary } = await run([RUNNING, answer]);

    expect(exitCode).toBe(1);
    expect(summary).toContain(`    ${expected} ${EXECUTION}\n`);
  });

  test('exits with 3 if the deploy has not ended in time', async () => {
    const { exitCode, summary } = await run([RUNNING], { minutes: 0 });

    expect(exitCode).toBe(3);
    expect(summary).toContain('Not ended after 0 minutes. It continues, and starts the services at its end');
  });

  test('asks again if an execution is missing or a call fails, 5 times in a row at most', async () => {
    const missing = 'ExecutionDoesNotExist';
    const found = await run([
      missing,
      missing,
      missing,
      missing,
      RUNNING,
      missing,
      succeeded({ summary: 'Done.' }),
    ]);
    expect([found.exitCode, found.summary]).toEqual([0, expect.stringContaining('    Done.\n')]);

    folder.remove();
    folder = createScriptFolder();
    const never = await run([missing]);
    expect([never.exitCode, never.summary]).toEqual([
      3,
      expect.stringContaining('could not be read 5 times'),
    ]);
  });

  test('shows a report without a summary, of an older version, as such', async () => {
    const { exitCode, summary } = await run([succeeded({ mode: 'deploy' })]);

    expect([exitCode, summary]).toEqual([0, expect.stringContaining('Succeeded. The report has no summary')]);
  });

  test('fails if the deploy cannot be started', async () => {
    const { exitCode, stderr, summary } = await run([RUNNING], { start: 'echo AccessDenied >&2; exit 254;' });

    expect([exitCode, stderr, summary]).toEqual([254, 'AccessDenied\n', '']);
  });
});
