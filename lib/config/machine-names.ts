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
