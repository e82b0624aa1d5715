import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { Annotations, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { type Grant, type IGrantable, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { ConfigurationError } from '../config/configuration-error.ts';
import { type Environment, LONGEST_ENVIRONMENT_NAME } from '../config/environment-config.ts';
import type { FunctionNetwork } from '../config/environment-resources.ts';
import { type MachineNames, type ResourceNames, resourceNamesOf } from '../config/resource-names.ts';
import { RECONCILE_EVERY, STOPPED_METRIC } from '../config/stopped-metric.ts';
import { allowDatabase, databaseOf, warnOfNoVpc } from './database-of.ts';
import type { DeployStepProps } from './deploy-step-props.ts';
import { warnOfDesiredCounts } from './desired-counts.ts';
import { environmentOf } from './environment-of.ts';
import { filesOf } from './files-of.ts';
import { hasScaling, type ResolvedService, servicesOf } from './services-of.ts';
import { createWorkflow } from './workflow-resources.ts';

/**
 * Stops services, runs migrations, builds indexes concurrently, starts the services again: the state machines, functions, alerts
 * and recovery rules for one database. Nothing runs when the stack is deployed; start `stateMachine` from your pipeline, the
 * console or the command line.
 *
 * ```ts
 * new DeployStep(this, 'DeployStep', { database: cluster, services: [api] });
 * ```
 */
export class DeployStep extends Construct implements ec2.IConnectable {
  /** The state machine that runs a deploy. Its input is `{}`, or an object as in docs/cli.md. */
  readonly stateMachine: IStateMachine;
  /** The state machine that starts services which a deploy has left stopped. */
  readonly startServicesMachine: IStateMachine;
  /** Receives the alerts. */
  readonly topic: ITopic;
  /** The names of the four state machines. They do not change when the stack is updated. */
  readonly machineNames: MachineNames;
  /** Name of the environment in reports, alerts and the names of all resources. */
  readonly environmentName: string;
  readonly #connections: ec2.Connections | undefined;
  readonly #names: ResourceNames;
  readonly #alarms: boolean;

  constructor(scope: Construct, id: string, props: DeployStepProps) {
    super(scope, id);
    this.environmentName = props.environmentName ?? defaultName(this);
    this.#names = resourceNamesOf(this.environmentName, props.namePrefix);
    this.machineNames = this.#names.machines;
    const projectRoot = resolve(props.projectRoot ?? '.');
    const database = databaseOf(this, props);
    const services = servicesOf(props.services ?? []);
    const environment = environmentOf(props, {
      ...{ construct: this.node.path, environmentName: this.environmentName },
      ...{ services, database },
    });
    this.#alarms = environment.alarms;
    const network = networkOf(this, props);
    this.#connections = network && new ec2.Connections({ securityGroups: network.securityGroups });
    if (this.#connections === undefined) warnOfNoVpc(this, props);
    else if (props.securityGroups === undefined) allowDatabase(this.#connections, props);
    this.#grantKeys(props, environment);
    const created = createWorkflow(this, {
      ...{ names: this.#names, environment, projectRoot },
      files: props.files ?? filesOf(this, { indexes: props.indexes, projectRoot }, environment),
      resources: {
        network,
        secret: database.secret,
        databaseName: database.defaultName,
        topic: props.alerts?.topic,
        topicKey: props.alerts?.key,
        logsKey: props.logs?.key,
      },
    });
    this.stateMachine = created.deploy;
    this.startServicesMachine = created.startServices;
    this.topic = created.alerts.topic;
    warnOfDesiredCounts(
      this,
      services.flatMap(({ construct }) => construct ?? []),
    );
    this.node.addValidation({ validate: () => scalingProblems(services) });
    if (props.alerts?.topic === undefined && (props.alerts?.emails ?? []).length === 0) {
      Annotations.of(this).addInfo(
        'Nobody gets the alerts of failed deploys: give alerts.emails or alerts.topic, or subscribe to the topic of this construct.',
      );
    }
  }

  /**
   * The connections of the functions, to let them into a database that is not given as `database`.
   * @throws Error when the functions run outside of a VPC
   */
  get connections(): ec2.Connections {
    if (this.#connections !== undefined) return this.#connections;
    throw new Error(
      `${this.node.path} has no connections, because its functions run outside of a VPC. Give vpc, or a database of this app.`,
    );
  }

  /** Allows a principal, such as the role of a pipeline, to start deploys. */
  grantStartExecution(grantee: IGrantable): Grant {
    return this.stateMachine.grantStartExecution(grantee);
  }

  /** Allows a principal to read the executions of deploys: their state, history and result. */
  grantRead(grantee: IGrantable): Grant {
    return this.stateMachine.grantRead(grantee);
  }

  /** Deploys that were started. @default the sum of 5 minutes */
  metricStarted(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricStarted(options);
  }

  /** Deploys that have succeeded, warnings included. @default the sum of 5 minutes */
  metricSucceeded(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricSucceeded(options);
  }

  /** Deploys that have failed. @default the sum of 5 minutes */
  metricFailed(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricFailed(options);
  }

  /** Deploys that someone has aborted. @default the sum of 5 minutes */
  metricAborted(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricAborted(options);
  }

  /** Duration of a deploy from its start to its end, in milliseconds. @default the average of 5 minutes */
  metricDuration(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.stateMachine.metricTime(options);
  }

  /**
   * 1 while services are stopped, measured every 10 minutes. No data: none is stopped.
   * @throws ConfigurationError without `alarms`, because the metric is written only with it
   * @default the maximum of 10 minutes
   */
  metricServicesStopped(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    if (!this.#alarms) {
      throw new ConfigurationError(
        `${this.node.path}: the metric of stopped services is written only with alarms: true.`,
      );
    }
    return new cloudwatch.Metric({
      namespace: this.#names.metricNamespace,
      metricName: STOPPED_METRIC,
      statistic: 'Maximum',
      period: RECONCILE_EVERY,
      ...options,
    });
  }

  /** Lets AWS use keys of this app. The policy of an imported key is not changed: its owner has to allow the same. */
  #grantKeys({ logs, alerts }: DeployStepProps, { alarms }: Environment): void {
    const { region, account } = Stack.of(this);
    const actions = [
      'kms:Encrypt*',
      'kms:Decrypt*',
      'kms:ReEncrypt*',
      'kms:GenerateDataKey*',
      'kms:Describe*',
    ];
    const logGroups = Stack.of(this).formatArn({ service: 'logs', resource: '*' });
    logs?.key?.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal(`logs.${region}.amazonaws.com`)],
        actions,
        resources: ['*'],
        conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': logGroups } },
      }),
    );
    if (!alarms) return;
    alerts?.key?.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
    );
  }
}

/** What a name of an environment and a construct's id have in common. */
function defaultName(construct: Construct): string {
  const { id } = construct.node;
  const parts = [Stack.of(construct).stackName, ...(['Default', 'DeployStep'].includes(id) ? [] : [id])];
  const name = parts
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^[^a-z]+|-+$/g, '');
  if (name.length <= LONGEST_ENVIRONMENT_NAME) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 6);
  return `${name.slice(0, LONGEST_ENVIRONMENT_NAME - hash.length - 1).replace(/-+$/, '')}-${hash}`;
}

/** Without security groups of its own it creates one. */
function networkOf(construct: Construct, props: DeployStepProps): FunctionNetwork | undefined {
  const vpc = props.vpc ?? (props.database as { vpc?: ec2.IVpc } | undefined)?.vpc;
  if (vpc === undefined) return undefined;
  return {
    vpc,
    vpcSubnets: props.vpcSubnets ?? {},
    securityGroups:
      props.securityGroups === undefined
        ? [
            new ec2.SecurityGroup(construct, 'SecurityGroup', {
              vpc,
              description: 'The functions of pg-deploy-step',
            }),
          ]
        : [...props.securityGroups],
  };
}

/** Scaling that was added after the definition was made: the workflow would not suspend it. */
function scalingProblems(services: readonly ResolvedService[]): string[] {
  return services.flatMap(({ service, detected }) =>
    service.kind === 'ecs' && detected !== undefined && !service.scaling && hasScaling(detected)
      ? [
          `The service ${detected.node.path} got autoScaleTaskCount after this construct was created, so its scaling would not be suspended. ` +
            'Create this construct later, or give { service, scaling: true }.',
        ]
      : [],
  );
}
