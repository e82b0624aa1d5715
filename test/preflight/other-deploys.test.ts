import { describe, expect, test } from 'vitest';
import {
  type RunningDeploy,
  refusalForLock,
  refusalForOlder,
} from '../../lambdas/preflight/other-deploys.ts';

const START = Date.parse('2026-01-01T12:00:00.000Z');
const OWN = { id: 'arn:own', name: 'own', startedAt: new Date(START).toISOString() };

const deploy = (name: string, secondsLater: number, arn = `arn:${name}`): RunningDeploy => ({
  ...{ arn, name, startedAt: START + secondsLater * 1000 },
});
const own = deploy('own', 0);
const throttled = () => Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' });

/** Each list is the answer to one read; the last one is the answer to all further reads. */
async function refusalWith(...lists: (RunningDeploy[] | Error)[]) {
  let reads = 0;
  const refusal = await refusalForOlder(OWN, {
    runningDeploys: async () => {
      const list = lists[Math.min(reads, lists.length - 1)] ?? [];
      reads += 1;
      if (list instanceof Error) throw list;
      return list;
    },
    isPlan: async (arn) => arn.startsWith('arn:plan'),
    listPauses: [0, 0, 0],
    howToAbort: 'abort it',
  });
  return { refusal, reads };
}

describe('the list of running deploys', () => {
  test.each<[string, RunningDeploy[]]>([
    ['has only this one', [own]],
    ['does not show this one yet', []],
    ['shows one that started later, and not this one', [deploy('later', 5)]],
    ['shows one that started at the same time', [own, deploy('same', 0)]],
  ])('accepts a deploy when it %s', async (_what, list) => {
    expect(await refusalWith(list)).toEqual({ refusal: null, reads: 1 });
  });

  test('accepts a deploy when an older one is no longer shown in a later read', async () => {
    expect(await refusalWith([deploy('older', -5), own], [deploy('older', -5)], [own])).toEqual({
      refusal: null,
      reads: 3,
    });
  });

  test('refuses a deploy while an older one is shown in every read', async () => {
    expect(await refusalWith([own, deploy('older', -5), deploy('oldest', -9)])).toEqual({
      refusal:
        'Another deploy is running: oldest, started at 2026-01-01T11:59:51.000Z (arn:oldest). ' +
        'Wait until it ends, or abort it. Then start this deploy again.',
      reads: 4,
    });
  });

  test('ignores an older execution that only plans, and refuses a deploy because of another one', async () => {
    expect(await refusalWith([own, deploy('plan', -9)])).toEqual({ refusal: null, reads: 1 });
    expect((await refusalWith([own, deploy('plan', -9), deploy('older', -5)])).refusal).toContain(
      'Another deploy is running: older, ',
    );
  });

  test('refuses a deploy at once because of a run outside of Step Functions, whatever its clock says', async () => {
    expect(await refusalWith([own, deploy('process 7', 3600, '')])).toEqual({
      refusal: expect.stringContaining(
        'Another deploy is running: process 7, started at 2026-01-01T13:00:00',
      ),
      reads: 1,
    });
  });

  test('is read again when the call is throttled', async () => {
    expect(await refusalWith(throttled(), throttled(), [own])).toEqual({ refusal: null, reads: 3 });
  });

  test('is an error when the last call is throttled too, and when Step Functions cannot be reached', async () => {
    await expect(refusalWith(throttled())).rejects.toThrow('Rate exceeded');
    await expect(refusalWith(new Error('connect ETIMEDOUT'), [own])).rejects.toThrow('connect ETIMEDOUT');
  });
});

describe('the lock', () => {
  test.each(['held', 'not-needed'] as const)('that is %s refuses nothing', (status) => {
    expect(refusalForLock({ status }, 'abort it')).toBeNull();
  });

  test('of another deploy refuses this one, and the message names the other one', () => {
    const holder = { execution: 'arn:other', deploy: 'other', startedAt: OWN.startedAt };

    expect(refusalForLock({ status: 'held-by-other', holder }, 'abort it')).toBe(
      'Another deploy is running: other, started at 2026-01-01T12:00:00.000Z (arn:other). ' +
        'Wait until it ends, or abort it. Then start this deploy again.',
    );
  });

  test('that cannot be acquired refuses the deploy, and the message has the parameter and the cause', () => {
    const error = { Error: 'Ssm.SsmException', Cause: 'not authorized' };

    expect(refusalForLock({ status: 'failed', parameter: '/a/deploy-lock', error }, 'abort it')).toBe(
      'The lock that allows one deploy at a time, the parameter /a/deploy-lock, could not be acquired: ' +
        'Ssm.SsmException: not authorized. Fix the cause, then start this deploy again.',
    );
  });
});
