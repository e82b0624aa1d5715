import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Template } from 'aws-cdk-lib/assertions';
import { vi } from 'vitest';
import { ACCOUNT, REGION } from '../../lib/local/local-arns.ts';
import { type Resource, resourcesOf } from '../stack/support/template-values.ts';

/** Answers a call of the SDK. `service` as in the name of its package, such as ecs. */
export type AnswerCall = (
  service: string,
  action: string,
  input: Record<string, unknown>,
) => Promise<Record<string, unknown>>;

/** What the function of the package sends to CloudFormation. */
interface Answer {
  Status: 'SUCCESS' | 'FAILED';
  Reason: string;
  Data?: Record<string, unknown>;
}

interface Handlers {
  handler(event: object, context: object): Promise<void>;
  isComplete(event: object, context: object): Promise<void>;
}

const BUNDLE = 'lib/assertions/providers/lambda-handler.bundle/index.js';
/** The package and the commands that the assertions use. The function finds both by their names. */
const SDK: Record<string, string[]> = {
  sfn: ['StartExecution', 'DescribeExecution', 'ListExecutions'],
  ecs: ['DescribeServices', 'ListTasks'],
  'application-auto-scaling': ['DescribeScalableTargets'],
  ssm: ['GetParametersByPath'],
  eventbridge: ['DescribeRule'],
};
const CONTEXT = { getRemainingTimeInMillis: () => 60_000, logStreamName: 'test' };
/** The waiter of the package makes more, with pauses. Here nothing changes between them, except what is eventually consistent. */
const ATTEMPTS = 3;
/** CloudFormation accepts no longer answer of a custom resource. */
const LONGEST_ANSWER = 4096;

/**
 * Creates the stack of the assertions as CloudFormation does: its custom resources, each after the one before it, with the
 * function that integ-tests-alpha deploys. The calls of its SDK are answered by the test.
 * @returns the names of the calls, with the value that was asserted
 * @throws Error if an assertion is not true, or an answer to CloudFormation would be too long
 */
export async function createAssertionStack(template: Template, answer: AnswerCall): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-integ-'));
  const answers: Answer[] = [];
  const request = vi.spyOn(https, 'request').mockImplementation(((_options: unknown, done: () => void) => ({
    on: () => undefined,
    write: (body: string) => {
      if (Buffer.byteLength(body) > LONGEST_ANSWER)
        throw new Error(`CloudFormation does not accept: ${body}`);
      answers.push(JSON.parse(body));
    },
    end: () => done(),
  })) as never);
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const info = vi.spyOn(console, 'info').mockImplementation(() => undefined);
  try {
    const handlers = loadFunction(folder, answer);
    const created: string[] = [];
    const data = new Map<string, Record<string, unknown>>();
    for (const [id, resource] of inOrder(template)) {
      const properties = resolve(resource.Properties, data) as Record<string, string>;
      const event = {
        ...{ RequestType: 'Create', ResourceType: resource.Type, LogicalResourceId: id },
        ...{ RequestId: 'request', StackId: 'stack', ResponseURL: 'https://cloudformation.test/answer' },
        ResourceProperties: properties,
      };
      const isWaiting = 'stateMachineArn' in properties;
      const what = `${properties.api} ${properties.actualPath ?? ''} ${properties.expected ?? ''}`.trim();
      const attempt = () =>
        isWaiting ? handlers.isComplete(event, CONTEXT) : handlers.handler(event, CONTEXT);
      await attemptOften(attempt, isWaiting ? ATTEMPTS : 1).catch(() => {
        throw new Error(`The assertion is not true: ${what}`);
      });
      const last = answers.pop();
      if (last?.Status !== 'SUCCESS') throw new Error(`The call failed: ${what}: ${last?.Reason}`);
      data.set(id, last.Data ?? {});
      created.push(what);
    }
    return created;
  } finally {
    for (const spy of [request, log, info]) spy.mockRestore();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function attemptOften(attempt: () => Promise<void>, attempts: number): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    if (attempts <= 1) throw error;
    await attemptOften(attempt, attempts - 1);
  }
}

/** The custom resources of the template, each after those on which it depends. */
function inOrder(template: Template): [string, Resource & { DependsOn?: string[] }][] {
  const all = Object.entries(resourcesOf(template)).filter(([, { Type }]) =>
    Type.startsWith('Custom::DeployAssert@SdkCall'),
  ) as [string, Resource & { DependsOn?: string[] }][];
  const ids = new Set(all.map(([id]) => id));
  const done = new Set<string>();
  const ordered: typeof all = [];
  while (ordered.length < all.length) {
    const ready = all.filter(
      ([id, { DependsOn: on = [] }]) =>
        !done.has(id) && on.every((other) => !ids.has(other) || done.has(other)),
    );
    if (ready.length !== 1)
      throw new Error(`Not in one order: ${ready.map(([id]) => id).join(', ') || 'a cycle'}`);
    for (const entry of ready) {
      done.add(entry[0]);
      ordered.push(entry);
    }
  }
  return ordered;
}

const PSEUDO: Record<string, string> = {
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::AccountId': ACCOUNT,
};

/** Resolves references to pseudo parameters and to the data of custom resources. Other references keep their name. */
function resolve(value: unknown, data: ReadonlyMap<string, Record<string, unknown>>): unknown {
  if (Array.isArray(value)) return value.map((item) => resolve(item, data));
  if (typeof value !== 'object' || value === null) return value;
  const { Ref: ref, 'Fn::Join': join, 'Fn::GetAtt': attribute } = value as Record<string, unknown>;
  if (typeof ref === 'string') return PSEUDO[ref] ?? ref;
  if (Array.isArray(join)) return (resolve(join[1], data) as string[]).join(join[0]);
  if (Array.isArray(attribute)) return data.get(attribute[0])?.[attribute[1]] ?? attribute.join('.');
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner, data)]));
}

/** Loads the function that the package deploys, with an SDK that passes each call to the test. */
function loadFunction(folder: string, answer: AnswerCall): Handlers {
  const require = createRequire(import.meta.url);
  const root = join(require.resolve('@aws-cdk/integ-tests-alpha/package.json'), '..');
  copyFileSync(join(root, BUNDLE), join(folder, 'index.cjs'));
  const key = `answers calls in ${folder}`;
  (globalThis as Record<string, unknown>)[key] = answer;
  for (const [service, actions] of Object.entries(SDK)) {
    const directory = join(folder, 'node_modules/@aws-sdk', `client-${service}`);
    mkdirSync(directory, { recursive: true });
    const commands = actions.map(
      (action) =>
        `exports.${action}Command = class { constructor(input) { this.input = input; this.action = '${action}'; } };`,
    );
    writeFileSync(
      join(directory, 'index.js'),
      `exports.TestClient = class {
        send({ action, input }) { return globalThis[${JSON.stringify(key)}]('${service}', action, input); }
      };\n${commands.join('\n')}\n`,
    );
  }
  return createRequire(join(folder, 'index.cjs'))('./index.cjs') as Handlers;
}
