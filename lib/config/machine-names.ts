/** The names of the four state machines. They are fixed, so that other stacks and people can refer to them. */
export interface MachineNames {
  readonly deploy: string;
  readonly maintenanceWindow: string;
  readonly buildIndexes: string;
  readonly startServices: string;
}

export function machineNamesOf(environmentName: string): MachineNames {
  const prefix = `pg-deploy-step-${environmentName}`;
  return {
    deploy: `${prefix}-deploy`,
    maintenanceWindow: `${prefix}-maintenance-window`,
    buildIndexes: `${prefix}-build-indexes`,
    startServices: `${prefix}-start-services`,
  };
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

export function ruleNamesOf(environmentName: string): RuleNames {
  const prefix = `pg-deploy-step-${environmentName}`;
  return {
    deployEnded: `${prefix}-recovery`,
    reconcile: `${prefix}-reconcile`,
    stackUpdated: `${prefix}-stack-updated`,
  };
}
