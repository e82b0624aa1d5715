import { describe, expect, test } from 'vitest';
import { alertOf } from '../../lambdas/report/alert.ts';
import { endedHoldOf, holdOf } from '../../lambdas/report/hold-report.ts';
import { ofCauses, reportOf } from './failures.ts';

const CONTEXT = {
  environment: 'prod',
  startServicesMachine: 'pg-deploy-step-prod-start-services',
  buildIndexesMachine: 'pg-deploy-step-prod-build-indexes',
};
const HOLDING = { since: '2026-01-01T00:00:00.000Z', hold: { minutes: 0.5 } };
const MARKER = JSON.stringify({ deploy: 'd-0', ...HOLDING });

const ended = (marker: string) => endedHoldOf({ start: { output: { services: [], marker } } });

describe('the hold in a report', () => {
  test('lasts for its minutes, which can be parts of one', () => {
    expect(holdOf({ holding: HOLDING })).toEqual({
      since: HOLDING.since,
      until: '2026-01-01T00:00:30.000Z',
    });
  });

  test('is none if it could not be saved', () => {
    expect(
      holdOf({ holding: HOLDING, holdFailure: { Error: 'Ssm.SsmException', Cause: null } }),
    ).toBeUndefined();
  });
});

describe('the hold that a start has ended', () => {
  test.each([
    ['the marker of a hold', MARKER, { deploy: 'd-0', since: HOLDING.since }],
    [
      'that of one whose first start was killed',
      `{"hold":{"ended":true},"of":${MARKER}}`,
      { deploy: 'd-0', since: HOLDING.since },
    ],
    ['a text that someone has written', '"hold":{', { deploy: 'unknown', since: null }],
    ['the marker of a critical failure', '{"deploy":"d-0","since":"2026-01-01T00:00:00.000Z"}', undefined],
    ['no marker', '', undefined],
  ])('is read from %s', (_, marker, expected) => {
    expect(ended(marker)).toEqual(expected);
  });
});

test('the alert of a deploy that holds the services says until when, and how to end the hold', () => {
  const alert = alertOf(
    reportOf(ofCauses(1, 1), {
      services: [{ name: 'api', stoppedAt: HOLDING.since, startedAt: null, status: 'stopped', error: null }],
      hold: { since: HOLDING.since, until: '2026-01-01T00:30:00.000Z' },
    }),
    CONTEXT,
  );

  expect(alert?.message).toContain(
    'Services: HELD for the deployment of the application, until 2026-01-01T00:30:00.000Z at most: api',
  );
  expect(alert?.message).toContain(
    '1. The services are held. After the deployment of the application, start an execution of the state machine pg-deploy-step-prod-start-services with the input {}. Otherwise the recovery starts them at 2026-01-01T00:30:00.000Z.',
  );
  expect(alert?.message).not.toContain('STOPPED');
});
