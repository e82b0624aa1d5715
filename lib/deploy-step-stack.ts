import { join, resolve } from 'node:path';
import { CfnOutput, Stack, type StackProps, Stage } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { CompiledRegistry } from '../lambdas/shared/registry.ts';
import { AlertTopic } from './alerts/alert-topic.ts';
import type { Environment } from './config/environment.ts';
import { bundleFunctions } from './functions/bundle.ts';
import { TaskFunctions } from './functions/task-functions.ts';
import { BuildIndexes } from './workflow/build-indexes.ts';
import { Deploy } from './workflow/deploy.ts';
import { machineNamesOf } from './workflow/machine-names.ts';
import { MaintenanceWindow } from './workflow/maintenance-window.ts';
import { serviceTargetsOf } from './workflow/service-target.ts';
import { StartServices } from './workflow/start-services.ts';

export interface DeployStepStackProps extends StackProps {
  environmentName: string;
  environment: Environment;
  /** The registry, compiled: see `loadRegistry`. */
  registry: CompiledRegistry;
  /** Folder that the environment's paths are relative to. */
  projectRoot: string;
}

/** One environment: the functions, the four state machines and the alert topic. */
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
      migrations: environment.migrations === 'none' ? null : resolve(projectRoot, environment.migrations),
    });
    const functions = new TaskFunctions(this, 'Functions', {
      environmentName,
      environment,
      bundles,
      machines,
    });
    const services = serviceTargetsOf(this, environmentName, environment.services, environment.pollSeconds);
    this.topic = new AlertTopic(this, 'Alerts', {
      topicName: `pg-deploy-step-${environmentName}-alerts`,
      emails: environment.alerts.emails,
    });
    const buildIndexes = new BuildIndexes(this, 'BuildIndexes', {
      machineName: machines.buildIndexes,
      functions,
      builds: environment.builds,
    });
    const startServices = new StartServices(this, 'StartServices', {
      machineName: machines.startServices,
      services,
      startMinutes: environment.startMinutes,
    });
    const maintenanceWindow = new MaintenanceWindow(this, 'MaintenanceWindow', {
      machineName: machines.maintenanceWindow,
      functions,
      buildIndexes: buildIndexes.machine,
      services,
      environment,
    });
    this.deploy = new Deploy(this, 'Deploy', {
      machineName: machines.deploy,
      environment,
      functions,
      maintenanceWindow: maintenanceWindow.machine,
      buildIndexes: buildIndexes.machine,
      startServices: startServices.machine,
      topic: this.topic.topic,
    });
    new CfnOutput(this, 'DeployMachineArn', { value: this.deploy.machine.stateMachineArn });
    new CfnOutput(this, 'AlertTopicArn', { value: this.topic.topic.topicArn });
  }
}
