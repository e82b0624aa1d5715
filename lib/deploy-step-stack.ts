import { join, resolve } from 'node:path';
import { CfnOutput, Stack, type StackProps, Stage } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { CompiledRegistry } from '../lambdas/shared/registry.ts';
import { AlertTopic } from './alerts/alert-topic.ts';
import type { Environment } from './config/environment-config.ts';
import { machineNamesOf } from './config/machine-names.ts';
import { bundleFunctions } from './functions/bundle-functions.ts';
import { WorkflowFunctions } from './functions/workflow-functions.ts';
import { logSettingsOf } from './logs/log-settings.ts';
import { Recovery } from './recovery/recovery.ts';
import { BuildIndexes } from './workflow/build-indexes.ts';
import { Deploy } from './workflow/deploy.ts';
import { MaintenanceWindow } from './workflow/maintenance-window.ts';
import { serviceTargetsOf } from './workflow/services/service-targets.ts';
import { StartServices } from './workflow/start-services.ts';

export interface DeployStepStackProps extends StackProps {
  environmentName: string;
  environment: Environment;
  /** The compiled registry, see `loadRegistry`. */
  registry: CompiledRegistry;
  /** The paths in the environment are relative to this folder. */
  projectRoot: string;
}

/**
 * The stack of one environment. It creates, in this order:
 * 1. the Lambda functions;
 * 2. the alert topic;
 * 3. the state machines build-indexes, start-services, maintenance-window and deploy;
 * 4. the recovery.
 */
export class DeployStepStack extends Stack {
  readonly deploy: Deploy;
  readonly topic: AlertTopic;

  constructor(scope: Construct, id: string, props: DeployStepStackProps) {
    const { environmentName, environment, registry, projectRoot, ...stackProps } = props;
    super(scope, id, stackProps);
    const machines = machineNamesOf(environmentName);
    const bundles = bundleFunctions({
      outdir: join(Stage.of(this)?.outdir ?? 'cdk.out', `bundles.${environmentName}`),
      registry,
      migrations:
        environment.migrations.runner === 'sql'
          ? resolve(projectRoot, environment.migrations.directory)
          : null,
    });
    const logs = logSettingsOf(this, environment);
    const functions = new WorkflowFunctions(this, 'Functions', {
      environmentName,
      environment,
      bundles,
      machines,
      logs,
    });
    const services = serviceTargetsOf(this, environmentName, environment);
    this.topic = new AlertTopic(this, 'Alerts', {
      topicName: `pg-deploy-step-${environmentName}-alerts`,
      emails: environment.alerts.emails,
    });
    const buildIndexes = new BuildIndexes(this, 'BuildIndexes', {
      machineName: machines.buildIndexes,
      functions,
      builds: environment.builds,
      logs,
    });
    const startServices = new StartServices(this, 'StartServices', {
      machineName: machines.startServices,
      services,
      startMinutes: environment.startMinutes,
      deployMachine: machines.deploy,
      migrations: { functions, environmentName, environment },
      topic: this.topic.topic,
      logs,
    });
    const maintenanceWindow = new MaintenanceWindow(this, 'MaintenanceWindow', {
      machineName: machines.maintenanceWindow,
      environmentName,
      functions,
      buildIndexes: buildIndexes.machine,
      services,
      environment,
      logs,
    });
    this.deploy = new Deploy(this, 'Deploy', {
      machineName: machines.deploy,
      environmentName,
      environment,
      functions,
      maintenanceWindow: maintenanceWindow.machine,
      buildIndexes: buildIndexes.machine,
      startServices: startServices.machine,
      services,
      topic: this.topic.topic,
      logs,
    });
    // Also without services: the last one can have been removed while it was stopped.
    new Recovery(this, 'Recovery', {
      environmentName,
      deploy: this.deploy.machine,
      startServices: startServices.machine,
    });
    new CfnOutput(this, 'DeployMachineArn', { value: this.deploy.machine.stateMachineArn });
    new CfnOutput(this, 'AlertTopicArn', { value: this.topic.topic.topicArn });
  }
}
