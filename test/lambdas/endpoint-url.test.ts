import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bundleFunctions } from '../../lib/functions/bundle-functions.ts';
import { FUNCTIONS, type FunctionName } from '../../lib/functions/function-names.ts';
import { variablesOf } from '../../lib/functions/function-settings.ts';
import { LambdaHost } from '../../lib/local/lambda-host.ts';
import { LOCAL_NAMES, localEnvironment } from '../../lib/local/local-environment.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';

/*
 * With AWS_ENDPOINT_URL, the functions call an emulator of AWS instead of AWS. Here the emulator records the calls and refuses
 * them.
 */

const EXECUTION = { id: 'arn:of:execution', name: 'one', startedAt: '2026-01-01T00:00:00.000Z' };

/** An event with which each function reads the secret of the database. */
const EVENTS: Record<FunctionName, unknown> = {
  preflight: { execution: EXECUTION, lock: { status: 'not-needed' }, input: { mode: 'plan' } },
  'check-sessions': {},
  'run-migrations': { deploy: 'one', requested: { environment: 'test', at: '2026-01-01T00:00:00Z' } },
  'check-migrations': {},
  'plan-builds': { execution: 'one', request: {} },
  'build-index': { deploy: 'one', index: 'idx_orders_status' },
  'check-index': { deploy: 'one', index: 'idx_orders_status' },
  'settle-index': { deploy: 'one', index: 'idx_orders_status', error: { Error: 'BuildFailed' } },
  report: { execution: EXECUTION, state: {} },
};

let folder: string;
let emulator: Server;
let url: string;
let calls: string[];
let bundles: Record<FunctionName, string>;
let lambdas: LambdaHost;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-endpoint-'));
  emulator = createServer(async (request: IncomingMessage, response) => {
    await text(request);
    calls.push(String(request.headers['x-amz-target']));
    response
      .writeHead(400, { 'content-type': 'application/x-amz-json-1.1' })
      .end(JSON.stringify({ __type: 'ResourceNotFoundException', message: 'refused by the emulator' }));
  });
  await new Promise<void>((resolve) => emulator.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(emulator.address() as AddressInfo).port}`;
  const registry = await compileRegistry(
    [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'of a test',
      },
    ],
    'the test',
  );
  bundles = bundleFunctions({
    ...{ outdir: join(folder, 'bundles'), migrations: null, registry, certificates: '' },
  });
  const variables = variablesOf({
    resources: {},
    names: LOCAL_NAMES,
    environment: localEnvironment({ migrations: 'none', services: [] }),
    deployMachineArn: `arn:aws:states:eu-west-1:000000000000:stateMachine:${LOCAL_NAMES.machines.deploy}`,
  });
  lambdas = new LambdaHost({
    functions: FUNCTIONS.map((name) => ({
      ...{ name, directory: bundles[name], handler: 'index.handler', timeoutSeconds: 60 },
      variables: {
        ...variables[name],
        NODE_EXTRA_CA_CERTS: '',
        ...{ AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: 'emulated', AWS_SECRET_ACCESS_KEY: 'emulated' },
      },
    })),
  });
});

beforeEach(() => {
  calls = [];
});

afterAll(async () => {
  await lambdas?.close();
  emulator?.closeAllConnections();
  emulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('with AWS_ENDPOINT_URL', () => {
  test.each(FUNCTIONS)('the function %s reads the secret from the emulator', async (name) => {
    await lambdas.invoke(name, EVENTS[name]).catch(() => undefined);

    expect(calls).toContain('secretsmanager.GetSecretValue');
  });

  test('preflight lists the running deploys of the emulator', async () => {
    const event = { execution: EXECUTION, lock: { status: 'held' }, input: {} };

    const answer = await lambdas.invoke('preflight', event);

    expect(calls).toEqual(['AWSStepFunctions.ListExecutions']);
    expect(answer).toMatchObject({
      decision: 'refused',
      refusal: expect.stringContaining('refused by the emulator'),
    });
  });
});
