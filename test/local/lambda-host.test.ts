import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Delivery, LambdaHost } from '../../lib/local/lambda-host.ts';
import { eventually } from '../support/waits.ts';

const BUNDLE = `
  import { spawn } from 'node:child_process';
  import { setTimeout as pause } from 'node:timers/promises';
  let served = 0;
  class LockNotAvailable extends Error { name = 'LockNotAvailable'; }
  export async function handler(event, context) {
    served += 1;
    console.log('serving ' + event.what);
    switch (event.what) {
      case 'echo': return { event, missing: undefined, at: new Date(0) };
      case 'nothing': return undefined;
      case 'served': return { served, pid: process.pid };
      case 'slow': await pause(event.ms); return process.pid;
      case 'variables': return { env: process.env, cwd: process.cwd() };
      case 'context': return { ...context, remaining: context.getRemainingTimeInMillis() };
      case 'error': throw new LockNotAvailable('could not acquire the lock');
      case 'text': throw 'just text';
      case 'exit': process.exit(3);
      case 'hang': await new Promise(() => setInterval(() => {}, 1000));
      case 'spawn': return spawn('sleep', ['300'], { stdio: 'ignore' }).pid;
    }
  }`;

let folder: string;
let host: LambdaHost;
const lines: string[] = [];

async function bundle(name: string, code: string): Promise<string> {
  const directory = await mkdtemp(path.join(folder, `${name}-`));
  await writeFile(path.join(directory, 'index.mjs'), code);
  return directory;
}

async function hostOf(code: string, timeoutSeconds = 60, delivery?: () => Delivery): Promise<LambdaHost> {
  host = new LambdaHost({
    ...(delivery && { delivery }),
    functions: [
      {
        name: 'Demo',
        directory: await bundle('demo', code),
        handler: 'index.handler',
        variables: { COLOUR: 'blue' },
        timeoutSeconds,
      },
    ],
    onLog: (name, line) => lines.push(`${name}: ${line}`),
  });
  return host;
}

async function failureOf(
  promise: Promise<unknown>,
): Promise<{ name: string; payload: Record<string, unknown> }> {
  const error = await promise.then(
    () => expect.fail('the invocation did not fail'),
    (thrown: Error) => thrown,
  );
  return { name: error.name, payload: JSON.parse(error.message) };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => host?.close());

describe('an invocation', () => {
  test('converts event and result to JSON and back', async () => {
    await hostOf(BUNDLE);
    const answer = await host.invoke('Demo', { what: 'echo', gone: undefined, when: new Date(0) });
    expect(answer).toEqual({
      event: { what: 'echo', when: '1970-01-01T00:00:00.000Z' },
      at: '1970-01-01T00:00:00.000Z',
    });
    expect(await host.invoke('Demo', { what: 'nothing' })).toBeNull();
  });

  test('has the function variables as in Lambda, and no variable of the host', async () => {
    process.env.SECRET_OF_THE_TEST = 'do not pass on';
    await hostOf(BUNDLE);
    const answer = (await host.invoke('Demo', { what: 'variables' })) as {
      env: Record<string, string>;
      cwd: string;
    };
    expect(answer.env).toMatchObject({ COLOUR: 'blue', AWS_LAMBDA_FUNCTION_NAME: 'Demo', TZ: 'UTC' });
    expect(answer.env).not.toHaveProperty('SECRET_OF_THE_TEST');
    expect(answer.env.LAMBDA_TASK_ROOT).toBe(answer.cwd);
  });

  test('has a context with the remaining time', async () => {
    await hostOf(BUNDLE, 30);
    const context = (await host.invoke('Demo', { what: 'context' })) as Record<string, unknown>;
    expect(context.functionName).toBe('Demo');
    expect(context.invokedFunctionArn).toBe('arn:aws:lambda:eu-west-1:000000000000:function:Demo');
    expect(context.awsRequestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(context.remaining).toBeGreaterThan(0);
    expect(context.remaining).toBeLessThanOrEqual(30_000);
  });

  test('passes the log lines of the function to the host', async () => {
    await hostOf(BUNDLE);
    await host.invoke('Demo', { what: 'nothing' });
    await eventually(() => lines).toContain('Demo: serving nothing');
    expect(host.invocations).toMatchObject([{ function: 'Demo' }]);
  });
});

describe('a call for which Lambda runs the function twice', () => {
  test('gets the result of the second run, which starts while the first one still runs', async () => {
    await hostOf(BUNDLE, 60, () => 'twice');
    const pid = await host.invoke('Demo', { what: 'slow', ms: 500 });
    await host.idle();
    const [first, second] = host.invocations;
    expect(pid).toEqual(expect.any(Number));
    expect(host.invocations).toHaveLength(2);
    expect(Date.parse(second?.startedAt ?? '')).toBeLessThan(
      Date.parse(first?.startedAt ?? '') + (first?.durationMs ?? 0),
    );
  });

  test('whose response is lost fails like a broken connection, and the function runs on', async () => {
    await hostOf(BUNDLE, 60, () => 'lost-response');
    await expect(host.invoke('Demo', { what: 'slow', ms: 200 })).rejects.toMatchObject({
      name: 'Lambda.SdkClientException',
    });
    expect(host.invocations).toEqual([]);
    await host.idle();
    expect(host.invocations).toMatchObject([{ function: 'Demo' }]);
  });
});

describe('an update', () => {
  const definition = async (code: string, number: number, isRetained = true) => ({
    ...{ name: 'Demo', directory: await bundle('demo', code), handler: 'index.handler' },
    ...{ variables: {}, timeoutSeconds: 60, version: { number, isRetained } },
  });
  const answer = (text: string) => `export const handler = (_event, { functionVersion }) =>
    '${text} ' + functionVersion + ' ' + process.env.AWS_LAMBDA_FUNCTION_VERSION;`;

  test('leaves a version as it was published, and changes $LATEST', async () => {
    host = new LambdaHost({ functions: [await definition(answer('old'), 1)] });
    expect(await host.invoke('Demo', {})).toBe('old $LATEST $LATEST');
    host.update([await definition(answer('new'), 2)]);
    expect(await host.invoke('Demo', {}, '1')).toBe('old 1 1');
    expect(await host.invoke('Demo', {}, '2')).toBe('new 2 2');
    expect(await host.invoke('Demo', {})).toBe('new $LATEST $LATEST');
    expect(host.invocations.map(({ version }) => version)).toEqual(['$LATEST', '1', '2', '$LATEST']);
  });

  test('deletes a version that is not retained, and every version of a function that is deleted', async () => {
    host = new LambdaHost({ functions: [await definition(answer('old'), 1, false)] });
    host.update([await definition(answer('new'), 2)]);
    const notFound = { name: 'Lambda.ResourceNotFoundException' };
    await expect(host.invoke('Demo', {}, '1')).rejects.toMatchObject(notFound);
    host.update([]);
    host.update([await definition(answer('newer'), 3)]);
    await expect(host.invoke('Demo', {}, '2')).rejects.toMatchObject(notFound);
  });
});

describe('sandboxes', () => {
  test('stay warm and are used again', async () => {
    await hostOf(BUNDLE);
    const first = (await host.invoke('Demo', { what: 'served' })) as { pid: number };
    expect(await host.invoke('Demo', { what: 'served' })).toEqual({ served: 2, pid: first.pid });
  });

  test('are started for each concurrent invocation', async () => {
    await hostOf(BUNDLE);
    const pids = await Promise.all([1, 2, 3].map(() => host.invoke('Demo', { what: 'slow', ms: 500 })));
    expect(new Set(pids).size).toBe(3);
  });

  test('end when the host is killed', async () => {
    const script = path.join(folder, 'host.ts');
    const module = path.resolve(import.meta.dirname, '../../lib/local/lambda-host.ts');
    const definition = {
      name: 'Demo',
      directory: await bundle('demo', BUNDLE),
      handler: 'index.handler',
      variables: {},
      timeoutSeconds: 60,
    };
    await writeFile(
      script,
      `import { type Delivery, LambdaHost } from ${JSON.stringify(module)};
       const host = new LambdaHost({ functions: [${JSON.stringify(definition)}] });
       const { pid } = await host.invoke('Demo', { what: 'served' });
       process.send(pid);
       setInterval(() => {}, 1000);`,
    );
    const other = fork(script);
    const [pid] = (await once(other, 'message')) as [number];
    expect(await isRunning(pid)).toBe(true);
    other.kill('SIGKILL');
    await eventually(() => isRunning(pid)).toBe(false);
  });

  test('end with the processes that they started when the host is closed', async () => {
    await hostOf(BUNDLE);
    const { pid } = (await host.invoke('Demo', { what: 'served' })) as { pid: number };
    const child = (await host.invoke('Demo', { what: 'spawn' })) as number;
    await host.close();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await eventually(() => isRunning(child)).toBe(false);
  });
});

describe('an error', () => {
  test('of the handler arrives with its name and Lambda’s response', async () => {
    await hostOf(BUNDLE);
    const { name, payload } = await failureOf(host.invoke('Demo', { what: 'error' }));
    expect(name).toBe('LockNotAvailable');
    expect(payload).toMatchObject({
      errorType: 'LockNotAvailable',
      errorMessage: 'could not acquire the lock',
      trace: expect.arrayContaining(['LockNotAvailable: could not acquire the lock']),
    });
  });

  test('that is not an Error has its type as name', async () => {
    await hostOf(BUNDLE);
    const { name, payload } = await failureOf(host.invoke('Demo', { what: 'text' }));
    expect(name).toBe('string');
    expect(payload.errorMessage).toBe('just text');
  });

  test('of the handler keeps the sandbox warm', async () => {
    await hostOf(BUNDLE);
    const before = await host.invoke('Demo', { what: 'served' });
    await failureOf(host.invoke('Demo', { what: 'error' }));
    expect(await host.invoke('Demo', { what: 'served' })).toEqual({ ...(before as object), served: 3 });
  });

  test('is Runtime.ExitError when the process exits', async () => {
    await hostOf(BUNDLE);
    const { name, payload } = await failureOf(host.invoke('Demo', { what: 'exit' }));
    expect(name).toBe('Runtime.ExitError');
    expect(payload.errorMessage).toMatch(/^RequestId: \S+ Error: Runtime exited with error: exit status 3$/);
    expect(await host.invoke('Demo', { what: 'served' })).toMatchObject({ served: 1 });
  });

  test('is Runtime.ExitError when the sandbox is killed', async () => {
    await hostOf(BUNDLE);
    await host.invoke('Demo', { what: 'nothing' });
    const failure = failureOf(host.invoke('Demo', { what: 'hang' }));
    host.kill('Demo');
    expect((await failure).payload.errorMessage).toContain('Runtime exited with error: signal: killed');
    expect(await host.invoke('Demo', { what: 'served' })).toMatchObject({ served: 1 });
  });

  test('is Sandbox.Timedout when the function takes longer than its timeout', async () => {
    await hostOf(BUNDLE, 2);
    const { name, payload } = await failureOf(host.invoke('Demo', { what: 'hang' }));
    expect(name).toBe('Sandbox.Timedout');
    expect(payload.errorMessage).toMatch(/^RequestId: \S+ Error: Task timed out after 2\.00 seconds$/);
  });

  test('is Runtime.ImportModuleError when a module is missing', async () => {
    await hostOf(`import 'not-in-the-bundle'; export const handler = () => 1;`);
    const { name, payload } = await failureOf(host.invoke('Demo', {}));
    expect(name).toBe('Runtime.ImportModuleError');
    expect(payload.errorMessage).toContain('not-in-the-bundle');
  });

  test('is Runtime.HandlerNotFound when the module has no such export', async () => {
    await hostOf('export const other = () => 1;');
    const { name } = await failureOf(host.invoke('Demo', {}));
    expect(name).toBe('Runtime.HandlerNotFound');
  });

  test('while loading the module arrives unchanged', async () => {
    await hostOf(`throw new RangeError('no variables');`);
    const { name, payload } = await failureOf(host.invoke('Demo', {}));
    expect(name).toBe('RangeError');
    expect(payload.errorMessage).toBe('no variables');
  });

  test('for an unknown function lists the valid functions', async () => {
    await hostOf(BUNDLE);
    await expect(host.invoke('Other', {})).rejects.toThrow(
      'The function "Other" does not exist. Functions: Demo.',
    );
  });
});

test('a bundle can import the AWS SDK as in Lambda', async () => {
  await hostOf(`
    import { SFNClient } from '@aws-sdk/client-sfn';
    export const handler = () => SFNClient.name;`);
  expect(await host.invoke('Demo', {})).toBe('SFNClient');
});

async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie keeps its process id until its parent reads its exit status.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/\) Z /.test(stat);
}
