import { join } from 'node:path';
import { Annotations, Stage } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Alarms } from '../alerts/alarms.ts';
import { AlertTopic } from '../alerts/alert-topic.ts';
import type { CompiledFiles } from '../compile/compiled-files.ts';
import type { Environment } from '../config/environment-config.ts';
import type { EnvironmentResources } from '../config/environment-resources.ts';
import type { ResourceNames } from '../config/resource-names.ts';
import { bundleFunctions } from '../functions/bundle-functions.ts';
import { certificatesOf } from '../functions/ship-certificates.ts';
import { WorkflowFunctions } from '../functions/workflow-functions.ts';
import { logSettingsOf } from '../logs/log-settings.ts';
import { Recovery } from '../recovery/recovery.ts';
import { BuildIndexes } from '../workflow/build-indexes.ts';
import { Deploy } from '../workflow/deploy.ts';
import { encryptMachines } from '../workflow/encrypt-machines.ts';
import { MaintenanceWindow } from '../workflow/maintenance-window.ts';
import { serviceTargetsOf } from '../workflow/services/service-targets.ts';
import { StartServices } from '../workflow/start-services.ts';
import type { WorkflowMachine } from '../workflow/workflow-machine.ts';

interface WorkflowResourcesProps {
  readonly names: ResourceNames;
  readonly environment: Environment;
  readonly resources: EnvironmentResources;
  readonly files: CompiledFiles;
  /** The certificate file of the environment is relative to this folder. */
  readonly projectRoot: string;
}

/** What was created. */
export interface WorkflowResources {
  readonly deploy: WorkflowMachine;
  readonly startServices: WorkflowMachine;
  readonly alerts: AlertTopic;
}

/** More findings than this are counted only: pg-deploy-step lint shows all of them. */
const MAX_FINDINGS = 20;

/**
 * Creates the resources of one environment, in this order:
 * 1. the Lambda functions;
 * 2. the alert topic;
 * 3. the state machines build-indexes, start-services, maintenance-window and deploy;
 * 4. the recovery;
 * 5. the alarms, if they are configured.
 * @param scope gets them as children. Their ids are part of the logical ids of deployed stacks: do not change them.
 */
export function createWorkflow(scope: Construct, props: WorkflowResourcesProps): WorkflowResources {
  const { names, environment, resources, files, projectRoot } = props;
  const { machines } = names;
  const { retain, stateMachineKeyArn } = environment.stack;
  const bundles = bundleFunctions({
    outdir: join(Stage.of(scope)?.outdir ?? 'cdk.out', `bundles.${names.environmentName}`),
    registry: files.registry,
    migrations: files.migrations,
    toolMigrations: files.toolMigrations,
    certificates: certificatesOf(environment.database.caFile, projectRoot),
  });
  annotate(scope, files);
  const logs = logSettingsOf(environment, resources.logsKey);
  const functions = new WorkflowFunctions(scope, 'Functions', {
    names,
    environment,
    resources,
    bundles,
    logs,
  });
  const services = serviceTargetsOf(scope, names, environment);
  const alerts = new AlertTopic(scope, 'Alerts', {
    topicName: names.topic,
    emails: environment.alerts.emails,
    topic: resources.topic,
    key: resources.topicKey,
    alarms: environment.alarms,
    retain,
  });
  const { topic } = alerts;
  const buildIndexes = new BuildIndexes(scope, 'BuildIndexes', {
    machineName: machines.buildIndexes,
    functions,
    builds: environment.builds,
    logs,
  });
  const startServices = new StartServices(scope, 'StartServices', {
    machineName: machines.startServices,
    services,
    startMinutes: environment.startMinutes,
    holdMinutes: environment.holdMinutes,
    pollSeconds: environment.pollSeconds,
    deployMachine: machines.deploy,
    migrations: { functions, names, environment },
    topic,
    logs,
  });
  const maintenanceWindow = new MaintenanceWindow(scope, 'MaintenanceWindow', {
    names,
    functions,
    buildIndexes: buildIndexes.machine,
    services,
    environment,
    logs,
  });
  const deploy = new Deploy(scope, 'Deploy', {
    names,
    environment,
    functions,
    maintenanceWindow: maintenanceWindow.machine,
    buildIndexes: buildIndexes.machine,
    startServices: startServices.machine,
    services,
    topic,
    logs,
  });
  // Also without services: the last one can have been removed while it was stopped.
  new Recovery(scope, 'Recovery', {
    ruleNames: names.rules,
    deploy: deploy.machine,
    startServices: startServices.machine,
  });
  const mayUseKey = alerts.mayUseKey();
  if (mayUseKey !== null)
    for (const { machine } of [deploy, startServices]) machine.addToRolePolicy(mayUseKey);
  const byName = {
    [machines.deploy]: deploy.machine,
    [machines.maintenanceWindow]: maintenanceWindow.machine,
    [machines.buildIndexes]: buildIndexes.machine,
    [machines.startServices]: startServices.machine,
  };
  if (stateMachineKeyArn !== undefined) encryptMachines(byName, stateMachineKeyArn);
  if (environment.alarms) {
    new Alarms(scope, 'Alarms', {
      ...{ names, stoppedMinutes: environment.stoppedMinutes, topic },
      ...{ functions: functions.byName, machines: byName },
    });
  }
  return { deploy: deploy.machine, startServices: startServices.machine, alerts };
}

/** Shows what is wrong in the registry and the migrations, and what is not applied. */
function annotate(scope: Construct, { notes, findings }: CompiledFiles): void {
  const annotations = Annotations.of(scope);
  for (const note of notes) annotations.addInfo(`migrations: ${note}`);
  for (const { rule, file, line, column, message } of findings.slice(0, MAX_FINDINGS)) {
    annotations.addWarningV2(`pg-deploy-step:${rule}`, `${file}:${line}:${column}: ${message}`);
  }
  const more = findings.length - MAX_FINDINGS;
  if (more > 0) {
    annotations.addWarningV2(
      'pg-deploy-step:more',
      `${more} more findings: npx pg-deploy-step lint shows all of them`,
    );
  }
}
