/** The names of the four state machines. They are fixed, so that other stacks and people can refer to them. */
export interface MachineNames {
  readonly deploy: string;
  readonly maintenanceWindow: string;
  readonly buildIndexes: string;
  readonly startServices: string;
}

/** The names of the EventBridge rules that start the recovery. */
export interface RuleNames {
  /** A deploy has failed, timed out or was aborted. */
  readonly deployEnded: string;
  /** The schedule. */
  readonly reconcile: string;
  /** The stack was created or updated. */
  readonly stackUpdated: string;
}

/** The fixed names of an environment's resources. Two environments of one account share none of them. */
export interface ResourceNames {
  readonly environmentName: string;
  /** The beginning of all names, except those of parameters. Also the name of the stack. */
  readonly stack: string;
  readonly machines: MachineNames;
  readonly rules: RuleNames;
  /** Name of the role with which pipelines of another account start deploys. */
  readonly pipelineRole: string;
  /** Name of the SNS topic that the stack creates. */
  readonly topic: string;
  /** Name of the alarm for services that are stopped for too long. */
  readonly servicesStopped: string;
  /** Namespace of the metric of stopped services: IAM can limit PutMetricData to a namespace only. */
  readonly metricNamespace: string;
  /** The group of the ECS tasks that run migrations. */
  readonly migrationGroup: string;
  /** The path of all parameters in Parameter Store, such as /pg-deploy-step/prod. */
  readonly parameters: string;
}

/** The longest value of `stack`: names of functions and of rules have at most 64 characters. */
export const LONGEST_STACK_NAME = 64 - '-check-migrations'.length;

/**
 * @param namePrefix what the names begin with, such as acme: acme-pg-deploy-step-prod-deploy. @default nothing, so that they
 * begin with pg-deploy-step
 */
export function resourceNamesOf(environmentName: string, namePrefix?: string): ResourceNames {
  const product = namePrefix === undefined ? 'pg-deploy-step' : `${namePrefix}-pg-deploy-step`;
  const stack = `${product}-${environmentName}`;
  return {
    environmentName,
    stack,
    machines: {
      deploy: `${stack}-deploy`,
      maintenanceWindow: `${stack}-maintenance-window`,
      buildIndexes: `${stack}-build-indexes`,
      startServices: `${stack}-start-services`,
    },
    rules: {
      deployEnded: `${stack}-recovery`,
      reconcile: `${stack}-reconcile`,
      stackUpdated: `${stack}-stack-updated`,
    },
    pipelineRole: `${stack}-pipeline`,
    topic: `${stack}-alerts`,
    servicesStopped: `${stack}-services-stopped`,
    metricNamespace: `${product}/${environmentName}`,
    migrationGroup: `${stack}-migrations`,
    parameters: `/${product}/${environmentName}`,
  };
}

/**
 * The names of an environment's state machines.
 * @param namePrefix `stack.namePrefix` of the environment. @default none
 */
export function machineNamesOf(environmentName: string, namePrefix?: string): MachineNames {
  return resourceNamesOf(environmentName, namePrefix).machines;
}
