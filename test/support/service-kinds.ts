import type { Service } from '../../lib/config/services-config.ts';
import { DEMO_SERVICES } from '../../lib/local/demo-services.ts';
import type { TestWorkflow } from './workflow.ts';

const MAPPING = '11111111-2222-4333-8444-555555555555';

/** The demo's services, an enabled and a disabled rule, and an enabled event source mapping. */
export const ALL_KINDS: Service[] = [
  ...DEMO_SERVICES,
  { kind: 'event-rule', name: 'nightly', rule: 'nightly', eventBus: 'default' },
  { kind: 'event-rule', name: 'retired', rule: 'retired', eventBus: 'jobs' },
  { kind: 'event-source-mapping', name: 'mailer', uuid: MAPPING },
];

export const ALL_KINDS_IN_AWS = {
  rules: [
    { name: 'nightly', eventBus: 'default', state: 'ENABLED' as const },
    { name: 'retired', eventBus: 'jobs', state: 'DISABLED' as const },
  ],
  mappings: [{ uuid: MAPPING, enabled: true }],
};

/** Everything of the services that a deploy can change, to compare it before and after. */
export function readServices({ workflow }: Pick<TestWorkflow, 'workflow'>) {
  const { ecs, scaling, eventBridge, lambda } = workflow.aws.state;
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
    withSavedState: workflow.servicesWithSavedState,
  };
}
