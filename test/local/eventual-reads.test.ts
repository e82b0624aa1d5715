import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalAws } from '../../lib/local/aws/local-aws.ts';
import { throttlingError, throttlingNames } from '../../lib/local/aws/throttling.ts';
import { LocalEngine, type LocalEngineOptions } from '../../lib/local/engine.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const arnOf = (name: string) => `arn:aws:states:eu-west-1:000000000000:stateMachine:${name}`;
const DESCRIBE = 'arn:aws:states:::aws-sdk:sfn:describeExecution';

let folder: string;
let aws: LocalAws;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
  aws = new LocalAws({ stateFile: path.join(folder, 'aws.json') });
});
afterEach(async () => {
  await aws.close();
  await rm(folder, { recursive: true });
});

/** An engine with a state machine that waits, and one that describes the execution in its input. */
function open(options: Partial<LocalEngineOptions> = {}): LocalEngine {
  const describeExecution = {
    Type: 'Task',
    Resource: DESCRIBE,
    Parameters: { 'ExecutionArn.$': '$.arn' },
    Retry: [{ ErrorEquals: ['Sfn.SfnException'], IntervalSeconds: 60, BackoffRate: 1, MaxAttempts: 10 }],
    End: true,
  };
  return new LocalEngine({
    machines: [
      {
        name: 'Waits',
        arn: arnOf('Waits'),
        definition: { StartAt: 'Wait', States: { Wait: { Type: 'Wait', Seconds: 600, End: true } } },
      },
      {
        name: 'Describes',
        arn: arnOf('Describes'),
        definition: { StartAt: 'Describe', States: { Describe: describeExecution } },
      },
    ],
    lambdas: { functionNames: [], invoke: () => Promise.reject(new Error('There are no functions.')) },
    aws,
    ...options,
  });
}

async function describedStatus(engine: LocalEngine, arn: string): Promise<unknown> {
  const { output, error } = await engine.start('Describes', { arn }).result;
  return error ?? (output as { Status: string }).Status;
}

const listed = (engine: LocalEngine) => engine.running(arnOf('Waits')).map(({ name }) => name);

describe('an execution that has started or ended', () => {
  test('is shown by DescribeExecution and by ListExecutions after some reads', async () => {
    const engine = open({ staleReads: 2 });
    const { arn, abort, result } = engine.start('Waits', {}, { name: 'one' });

    expect([listed(engine), listed(engine), listed(engine)]).toEqual([[], [], ['one']]);
    expect(await describedStatus(engine, arn)).toBe('Sfn.ExecutionDoesNotExistException');
    expect(await describedStatus(engine, arn)).toBe('Sfn.ExecutionDoesNotExistException');
    expect(await describedStatus(engine, arn)).toBe('RUNNING');
    abort();
    await result;
    expect([listed(engine), listed(engine), listed(engine)]).toEqual([['one'], ['one'], []]);
    expect(await describedStatus(engine, arn)).toBe('RUNNING');
    expect(await describedStatus(engine, arn)).toBe('RUNNING');
    expect(await describedStatus(engine, arn)).toBe('ABORTED');
  });

  test('is missing in the list and running for DescribeExecution, if only one of them was read', async () => {
    const engine = open({ staleReads: 1 });
    const { arn, abort } = engine.start('Waits');

    await describedStatus(engine, arn);

    expect(await describedStatus(engine, arn)).toBe('RUNNING');
    expect(listed(engine)).toEqual([]);
    abort();
  });
});

describe('a throttled call', () => {
  test('fails with the base exception of the service, and is retried in the time of the clock', async () => {
    const clock = new VirtualClock();
    const begin = clock.now();
    const refusals: number[] = [];
    const engine = open({
      clock,
      refuse: (resource) => {
        if (resource !== DESCRIBE || refusals.length === 5) return undefined;
        refusals.push(clock.now() - begin);
        return throttlingError(resource);
      },
    });

    expect(await describedStatus(engine, 'unknown')).toBe('Sfn.ExecutionDoesNotExistException');
    expect(refusals).toEqual([0, 60_000, 120_000, 180_000, 240_000]);
  });

  test('of a service whose names are unknown is an error of the test', () => {
    expect(throttlingNames('arn:aws:states:::aws-sdk:ecs:updateService')).toEqual(['Ecs.EcsException']);
    expect(() => throttlingNames('arn:aws:states:::aws-sdk:s3:putObject')).toThrow(/s3:putObject/);
  });
});
