import { join, resolve } from 'node:path';
import { Annotations, CfnOutput, Stack, type StackProps, Stage } from 'aws-cdk-lib';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { CompiledRegistry } from '../lambdas/shared/registry.ts';
import { Alarms } from './alerts/alarms.ts';
import { AlertTopic } from './alerts/alert-topic.ts';
import type { Environment } from './config/environment-config.ts';
import { resourceNamesOf } from './config/resource-names.ts';
import { bundleFunctions } from './functions/bundle-functions.ts';
import { certificatesOf } from './functions/ship-certificates.ts';
import { notesOnMigrations } from './functions/ship-migrations.ts';
import { WorkflowFunctions } from './functions/workflow-functions.ts';
import { logSettingsOf } from './logs/log-settings.ts';
import { Recovery } from './recovery/recovery.ts';
import { BuildIndexes } from './workflow/build-indexes.ts';
import { Deploy } from './workflow/deploy.ts';
import { encryptMachines } from './workflow/encrypt-machines.ts';
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
 * 4. the recovery;
 * 5. the alarms, if they are configured.
 */
export class DeployStepStack extends Stack {
  readonly deploy: Deploy;
  readonly topic: AlertTopic;

  constructor(scope: Construct, id: string, props: DeployStepStackProps) {
    const { environmentName, environment, registry, projectRoot, ...stackProps } = props;
    const { terminationProtection, permissionsBoundary, retain, stateMachineKeyArn, tags } =
      environment.stack;
    super(scope, id, {
      ...stackProps,
      ...(terminationProtection && { terminationProtection }),
      tags: { ...stackProps.tags, ...tags },
    });
    if (permissionsBoundary !== undefined) {
      const boundary = ManagedPolicy.fromManagedPolicyArn(this, 'PermissionsBoundary', permissionsBoundary);
      PermissionsBoundary.of(this).apply(boundary);
    }
    const names = resourceNamesOf(environmentName, environment.stack.namePrefix);
    const { machines } = names;
    const migrations =
      environment.migrations.runner === 'sql' ? resolve(projectRoot, environment.migrations.directory) : null;
    const bundles = bundleFunctions({
      outdir: join(Stage.of(this)?.outdir ?? 'cdk.out', `bundles.${environmentName}`),
      registry,
      migrations,
      searchPath: environment.database.searchPath,
      certificates: certificatesOf(environment.database.caFile, projectRoot),
    });
    for (const note of migrations === null ? [] : notesOnMigrations(migrations)) {
      Annotations.of(this).addInfo(`migrations: ${note}`);
    }
    const logs = logSettingsOf(this, environment);
    const functions = new WorkflowFunctions(this, 'Functions', {
      names,
      environment,
      bundles,
      logs,
    });
    const services = serviceTargetsOf(this, names, environment);
    this.topic = new AlertTopic(this, 'Alerts', {
      topicName: names.topic,
      ...environment.alerts,
      alarms: environment.alarms,
      retain,
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
      pollSeconds: environment.pollSeconds,
      deployMachine: machines.deploy,
      migrations: { functions, names, environment },
      topic: this.topic.topic,
      logs,
    });
    const maintenanceWindow = new MaintenanceWindow(this, 'MaintenanceWindow', {
      names,
      functions,
      buildIndexes: buildIndexes.machine,
      services,
      environment,
      logs,
    });
    this.deploy = new Deploy(this, 'Deploy', {
      names,
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
      ruleNames: names.rules,
      deploy: this.deploy.machine,
      startServices: startServices.machine,
    });
    const mayUseKey = this.topic.mayUseKey();
    if (mayUseKey !== null)
      for (const { machine } of [this.deploy, startServices]) machine.addToRolePolicy(mayUseKey);
    const byName = {
      [machines.deploy]: this.deploy.machine,
      [machines.maintenanceWindow]: maintenanceWindow.machine,
      [machines.buildIndexes]: buildIndexes.machine,
      [machines.startServices]: startServices.machine,
    };
    if (stateMachineKeyArn !== undefined) encryptMachines(byName, stateMachineKeyArn);
    if (environment.alarms) {
      const topic = this.topic.topic;
      new Alarms(this, 'Alarms', {
        ...{ names, stoppedMinutes: environment.stoppedMinutes, topic },
        ...{ functions: functions.byName, machines: byName },
      });
    }
    new CfnOutput(this, 'DeployMachineArn', { value: this.deploy.machine.stateMachineArn });
    new CfnOutput(this, 'AlertTopicArn', { value: this.topic.topic.topicArn });
  }
}
