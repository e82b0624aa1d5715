import { IntegTest } from '@aws-cdk/integ-tests-alpha';
import { type App, RemovalPolicies, Stack } from 'aws-cdk-lib';
import { DeployStepStack, type EnvironmentInput } from 'pg-deploy-step';
import { addAssertions } from './assertions.ts';
import { EnvironmentStack } from './environment-stack.ts';
import { keepLogsInStack } from './keep-logs-in-stack.ts';
import { APPLICATION_NAME, CLUSTER, SERVICE } from './slow-service.ts';

/** Name of the environment: part of the names of functions, state machines and parameters. */
export const ENVIRONMENT_NAME = 'integ';

/** The environment as it is in a cdk.json, without the network. The stack gets the same options. */
export const ENVIRONMENT = {
  // Of another database: the stack gets the object of the database.
  database: { secretArn: 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:replaced-AbCdEf' },
  indexes: 'database/indexes.ts',
  migrations: 'database/migrations',
  services: [{ name: SERVICE, cluster: CLUSTER, service: SERVICE, scaling: true }],
  drain: { applicationNames: [APPLICATION_NAME], seconds: 120 },
  logs: { retentionDays: 1 },
} satisfies EnvironmentInput;

export interface IntegStacks {
  environment: EnvironmentStack;
  deployStep: DeployStepStack;
  assertions: Stack;
}

/**
 * The test on AWS, as three stacks that depend on each other in this order:
 * 1. an environment: network, database and a service that stops slowly;
 * 2. the deploy step of this environment, which is what is tested;
 * 3. assertions: CloudFormation runs the workflow while it creates this stack, and cannot create it if an assertion fails.
 * Nothing of them is kept when they are deleted.
 */
export function createStacks(app: App): IntegStacks {
  const environment = new EnvironmentStack(app, 'pg-deploy-step-integ-environment', {
    workflow: { environmentName: ENVIRONMENT_NAME, services: [SERVICE] },
  });
  const deployStep = new DeployStepStack(app, `pg-deploy-step-${ENVIRONMENT_NAME}`, {
    environmentName: ENVIRONMENT_NAME,
    database: environment.database,
    vpcSubnets: { subnets: environment.vpc.isolatedSubnets },
    securityGroups: [environment.functionsSecurityGroup],
    services: ENVIRONMENT.services,
    indexes: ENVIRONMENT.indexes,
    migrations: ENVIRONMENT.migrations,
    drain: ENVIRONMENT.drain,
    logs: ENVIRONMENT.logs,
    projectRoot: import.meta.dirname,
    description: 'pg-deploy-step: the stack that the test on AWS runs',
  });
  deployStep.addStackDependency(environment);
  const assertions = new Stack(app, 'pg-deploy-step-integ-assertions', {
    description: 'pg-deploy-step: runs the workflow and checks what it did',
  });
  assertions.addStackDependency(deployStep);
  const test = new IntegTest(app, 'Test', { testCases: [deployStep], assertionStack: assertions });
  addAssertions(test.assertions, deployStep, ENVIRONMENT_NAME);
  keepLogsInStack(assertions);
  for (const stack of [environment, deployStep, assertions]) RemovalPolicies.of(stack).destroy();
  return { environment, deployStep, assertions };
}
