import { type EcsService, ecsServiceSchema } from '../config/services-config.ts';
import type { LocalService } from './aws/local-aws.ts';

const CLUSTER = 'demo';

/** The task definitions of the local ECS have no roles. */
const NO_ROLES = { task: 'none', execution: 'none' };

/** The demo's services as the configuration lists them. */
export const DEMO_SERVICES: EcsService[] = [
  ecsServiceSchema.parse({ name: 'api', cluster: CLUSTER, service: 'api', scaling: true, roles: NO_ROLES }),
  ecsServiceSchema.parse({ name: 'worker', cluster: CLUSTER, service: 'worker', roles: NO_ROLES }),
];

/** The demo's services as the local ECS runs them: processes that hold connections to the database and write to it. */
export function localDemoServices(databaseUrl: string): LocalService[] {
  const variables = { DATABASE_URL: databaseUrl };
  return [
    {
      cluster: CLUSTER,
      service: 'api',
      desiredCount: 2,
      variables,
      scaling: { min: 1, max: 4 },
    },
    { cluster: CLUSTER, service: 'worker', desiredCount: 1, variables },
  ];
}
