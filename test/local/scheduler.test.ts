import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalAws } from '../../lib/local/aws/local-aws.ts';

const SDK = 'arn:aws:states:::aws-sdk:scheduler';
const REQUIRED = {
  Name: 'nightly',
  FlexibleTimeWindow: { Mode: 'OFF' as const },
  ScheduleExpression: 'rate(1 day)',
  Target: { Arn: 'arn:aws:sqs:eu-west-1:000000000000:jobs', RoleArn: 'arn:aws:iam::000000000000:role/jobs' },
};
const ALL = {
  ...REQUIRED,
  ...{ Description: 'every night', ActionAfterCompletion: 'DELETE' as const, State: 'DISABLED' as const },
  ...{ StartDate: '2098-01-01T00:00:00Z', EndDate: '2099-01-01T00:00:00Z', KmsKeyArn: 'arn:aws:kms:x' },
  ScheduleExpressionTimezone: 'Europe/Vienna',
};

let folder: string;
let aws: LocalAws;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
  aws = new LocalAws({ stateFile: join(folder, 'aws.json'), schedules: [ALL] });
});
afterEach(async () => {
  await aws.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = async () =>
  (await aws.call(`${SDK}:getSchedule`, { Name: 'nightly' })) as Record<string, unknown>;

test('GetSchedule returns all fields of the schedule, its ARN and its dates', async () => {
  const { CreationDate: created, LastModificationDate: changed, ...schedule } = await get();

  expect(schedule).toEqual({
    ...ALL,
    GroupName: 'default',
    Arn: 'arn:aws:scheduler:eu-west-1:000000000000:schedule/default/nightly',
  });
  expect([created, changed]).toEqual([expect.any(String), expect.any(String)]);
});

test('UpdateSchedule resets what it does not get', async () => {
  await aws.call(`${SDK}:updateSchedule`, REQUIRED);

  // The first read after a change may still find the schedule as before.
  expect(await get()).toMatchObject({ Description: 'every night' });
  const { CreationDate: _created, LastModificationDate: _changed, Arn: _arn, ...schedule } = await get();
  expect(schedule).toEqual({
    ...REQUIRED,
    ...{ GroupName: 'default', State: 'ENABLED', ActionAfterCompletion: 'NONE' },
    ScheduleExpressionTimezone: 'UTC',
  });
});

test.each([
  ['a field of the response', { Arn: 'arn:aws:scheduler:x' }],
  ['no target', { Target: undefined }],
])('UpdateSchedule does not accept %s', async (_what, wrong) => {
  await expect(aws.call(`${SDK}:updateSchedule`, { ...REQUIRED, ...wrong })).rejects.toThrow(
    'The Parameters of arn:aws:states:::aws-sdk:scheduler:updateSchedule are wrong',
  );
});

test('times are texts', async () => {
  await expect(aws.call(`${SDK}:updateSchedule`, { ...REQUIRED, StartDate: 4_073_587_200 })).rejects.toThrow(
    'StartDate',
  );
  expect(await get()).toMatchObject({ StartDate: '2098-01-01T00:00:00Z' });
});

test('a start date that is more than 5 minutes ago is refused', async () => {
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

  await expect(aws.call(`${SDK}:updateSchedule`, { ...REQUIRED, StartDate: ago(10) })).rejects.toMatchObject({
    name: 'Scheduler.ValidationException',
  });
  await aws.call(`${SDK}:updateSchedule`, { ...REQUIRED, StartDate: ago(1) });
});

test('a schedule of another group, or without a schedule of the name, does not exist', async () => {
  for (const wrong of [{ Name: 'other' }, { Name: 'nightly', GroupName: 'other' }]) {
    await expect(aws.call(`${SDK}:getSchedule`, wrong)).rejects.toMatchObject({
      name: 'Scheduler.ResourceNotFoundException',
    });
  }
});
