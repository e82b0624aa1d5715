import type { Service } from '../../lib/config/services-config.ts';
import type { LocalSchedule } from '../../lib/local/aws/scheduler.ts';
import { DEMO_SERVICES } from '../../lib/local/demo-services.ts';
import { CustomFunctionService } from './custom-service.ts';
import type { TestWorkflow } from './workflow.ts';

const MAPPING = '11111111-2222-4333-8444-555555555555';

/** The role of the targets of the schedules. */
export const SCHEDULE_ROLE = 'arn:aws:iam::000000000000:role/invoke-jobs';

/** The service of the kind custom. */
export const CUSTOM_SERVICE = new CustomFunctionService();

/**
 * The demo's services, an enabled and a disabled rule, an enabled event source mapping, an enabled and a disabled schedule, and
 * a service with a function of its own.
 */
export const ALL_KINDS: Service[] = [
  ...DEMO_SERVICES,
  { kind: 'event-rule', name: 'nightly', rule: 'nightly', eventBus: 'default' },
  { kind: 'event-rule', name: 'retired', rule: 'retired', eventBus: 'jobs' },
  { kind: 'event-source-mapping', name: 'mailer', uuid: MAPPING },
  { kind: 'schedule', name: 'invoices', schedule: 'invoices', group: 'billing', role: SCHEDULE_ROLE },
  { kind: 'schedule', name: 'old-export', schedule: 'export', group: 'default', role: SCHEDULE_ROLE },
  CUSTOM_SERVICE.service,
];

/** A schedule with a value in each field that UpdateSchedule would reset. */
const INVOICES: LocalSchedule = {
  Name: 'invoices',
  GroupName: 'billing',
  ActionAfterCompletion: 'DELETE',
  Description: 'sends the invoices',
  StartDate: '2098-01-01T00:00:00Z',
  EndDate: '2099-01-01T00:00:00Z',
  FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
  ScheduleExpression: 'cron(0 6 * * ? *)',
  ScheduleExpressionTimezone: 'Europe/Vienna',
  State: 'ENABLED',
  Target: {
    Arn: 'arn:aws:lambda:eu-west-1:000000000000:function:send-invoices',
    RoleArn: SCHEDULE_ROLE,
    Input: '{"tenant":"{% 1 %}","path":"$.service.name"}',
    RetryPolicy: { MaximumEventAgeInSeconds: 3600, MaximumRetryAttempts: 5 },
    DeadLetterConfig: { Arn: 'arn:aws:sqs:eu-west-1:000000000000:failed' },
  },
};

export const ALL_KINDS_IN_AWS = {
  rules: [
    { name: 'nightly', eventBus: 'default', state: 'ENABLED' as const },
    { name: 'retired', eventBus: 'jobs', state: 'DISABLED' as const },
  ],
  mappings: [{ uuid: MAPPING, enabled: true }],
  schedules: [
    INVOICES,
    {
      Name: 'export',
      FlexibleTimeWindow: { Mode: 'OFF' as const },
      ScheduleExpression: 'rate(1 hour)',
      State: 'DISABLED' as const,
      Target: { Arn: 'arn:aws:sqs:eu-west-1:000000000000:exports', RoleArn: SCHEDULE_ROLE },
    },
  ],
  customFunctions: [CUSTOM_SERVICE.function],
};

/** Everything of the services that a deploy can change, to compare it before and after. */
export function readServices({ workflow }: Pick<TestWorkflow, 'workflow'>) {
  const { ecs, scaling, eventBridge, lambda, scheduler } = workflow.aws.state;
  return {
    processes: Object.fromEntries(
      ecs.services.map((service) => [
        service.service,
        service.tasks.filter((task) => task.stoppingSince === undefined).length,
      ]),
    ),
    desired: Object.fromEntries(ecs.services.map((service) => [service.service, service.desiredCount])),
    suspended: scaling.targets.map((target) => ({ ...target.SuspendedState })),
    // Without the rules of the stack itself.
    rules: eventBridge.rules
      .filter((rule) => !rule.name.startsWith('pg-deploy-step-'))
      .map((rule) => `${rule.name} ${rule.state}`),
    mappings: lambda.mappings.map((mapping) => `${mapping.uuid} ${mapping.enabled}`),
    // With all fields, because a change can reset each of them.
    schedules: scheduler.schedules.map(
      ({ stale: _stale, LastModificationDate: _date, ...schedule }) => schedule,
    ),
    custom: CUSTOM_SERVICE.capacity,
    withSavedState: workflow.servicesWithSavedState,
  };
}
