import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import type { IEventBus, IRule } from 'aws-cdk-lib/aws-events';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IEventSourceMapping, IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IDatabaseCluster, IDatabaseInstance } from 'aws-cdk-lib/aws-rds';
import type { ISchedule } from 'aws-cdk-lib/aws-scheduler';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { CompiledFiles } from '../compile/compiled-files.ts';
import type { EnvironmentInput } from '../config/environment-config.ts';
import type { IndexEntry, Registry } from '../registry/define-indexes.ts';

/** The roles in the task definitions of an ECS service: a task definition object has these properties. */
export interface TaskRoles {
  /** @default none */
  readonly taskRole?: IRole;
  /** @default none */
  readonly executionRole?: IRole;
}

/** An ECS service, with what its object does not say. */
export interface EcsServiceProps {
  readonly service: IBaseService;
  /** Name in reports and alerts: letters, digits, - and _. @default the id of the construct */
  readonly name?: string;
  /**
   * Whether the service has Application Auto Scaling, which has to be suspended.
   * @default true if `autoScaleTaskCount` was called for the service in this app
   */
  readonly scaling?: boolean;
  /**
   * The roles in its task definitions, for deploys whose input names a revision (`taskDefinitions`): they may pass these to ECS, and no
   * others. `service.taskDefinition` is possible.
   * @default no deploy can change the revision of the service
   */
  readonly roles?: TaskRoles;
}

/** An ECS service that is not part of this app. */
export interface EcsServiceNames {
  /** Name in reports and alerts: letters, digits, - and _. */
  readonly name: string;
  /** Name of the ECS cluster. */
  readonly cluster: string;
  /** Name of the ECS service. */
  readonly service: string;
  /** Whether the service has Application Auto Scaling, which has to be suspended. @default false */
  readonly scaling?: boolean;
  /**
   * The ARNs of the roles in its task definitions, or `none`, for deploys whose input names a revision (`taskDefinitions`): they may
   * pass these to ECS, and no others.
   * @default no deploy can change the revision of the service
   */
  readonly roles?: { readonly task: string; readonly execution: string };
}

/** A rule of EventBridge, which is disabled and enabled again. */
export interface EventRuleProps {
  readonly rule: IRule;
  /** The event bus of the rule. @default the default event bus */
  readonly eventBus?: IEventBus;
  /** Name in reports and alerts: letters, digits, - and _. @default the id of the construct */
  readonly name?: string;
}

/** A rule of EventBridge that is not part of this app. */
export interface EventRuleNames {
  /** Name in reports and alerts: letters, digits, - and _. */
  readonly name: string;
  readonly kind: 'event-rule';
  /** Name of the rule. */
  readonly rule: string;
  /** Name of the event bus. @default default */
  readonly eventBus?: string;
}

/** The mapping between a queue or a stream and the Lambda function that consumes it, which is disabled and enabled again. */
export interface EventSourceMappingProps {
  readonly mapping: IEventSourceMapping;
  /** Name in reports and alerts: letters, digits, - and _. @default the id of the construct */
  readonly name?: string;
}

/** An event source mapping that is not part of this app. */
export interface EventSourceMappingNames {
  /** Name in reports and alerts: letters, digits, - and _. */
  readonly name: string;
  readonly kind: 'event-source-mapping';
  /** UUID of the mapping. */
  readonly uuid: string;
}

/** A schedule of EventBridge Scheduler, which is disabled and enabled again. */
export interface ScheduleProps {
  readonly schedule: ISchedule;
  /** Name in reports and alerts. @default the id of the schedule in the construct tree */
  readonly name?: string;
  /**
   * The role with which the schedule invokes its target. A change of the schedule passes this role again.
   * @default the role of the target of a schedule of this app
   */
  readonly role?: IRole;
  /** The key that encrypts the schedule. @default the key of a schedule of this app */
  readonly key?: IKey;
}

/** A schedule of EventBridge Scheduler by its name. */
export interface ScheduleNames {
  readonly kind: 'schedule';
  /** Name in reports and alerts. */
  readonly name: string;
  /** Name of the schedule. */
  readonly schedule: string;
  /** Group of the schedule. @default 'default' */
  readonly group?: string;
  /** ARN of the role with which the schedule invokes its target. */
  readonly role: string;
  /** ARN of the customer-managed KMS key of the schedule. @default none */
  readonly key?: string | undefined;
}

/** Anything else, which a function of your own checks, stops and starts: see docs/custom-services.md. */
export interface CustomServiceProps {
  readonly function: IFunction;
  /** Name in reports and alerts. */
  readonly name: string;
}

/** Anything else, by the ARN of the function that checks, stops and starts it. */
export interface CustomServiceNames {
  readonly kind: 'custom';
  /** Name in reports and alerts. */
  readonly name: string;
  /** ARN of the Lambda function, optionally with a version or an alias. */
  readonly function: string;
}

/** What the workflow stops before the migrations, and starts again: an ECS service, or one of the other kinds. */
export type StoppedService =
  | IBaseService
  | EcsServiceProps
  | EcsServiceNames
  | EventRuleProps
  | EventRuleNames
  | EventSourceMappingProps
  | EventSourceMappingNames
  | ScheduleProps
  | ScheduleNames
  | CustomServiceProps
  | CustomServiceNames;

/** How the functions log in to the database, and which database it is. */
export interface DatabaseOptions {
  /**
   * Database to connect to.
   * @default the default database of `database`; with a `secret` of your own its dbname first
   */
  readonly name?: string;
  /** Host to connect to, of a cluster the writer. @default the writer endpoint of `database`; without `database` the secret's host */
  readonly host?: string;
  /** Port to connect to. @default the port of `database`; without `database` the secret's port, otherwise 5432 */
  readonly port?: number;
  /** Log in with IAM instead of the secret's password. @default the password of the secret */
  readonly iam?: {
    /** The database role. */
    readonly user: string;
    /**
     * Resource id of the instance or the cluster (db-…, cluster-…): the functions may connect to no other one.
     * @default that of `database`
     */
    readonly resourceId?: string;
  };
  /** ARN of the customer-managed KMS key of an imported secret. @default the key that the object of the secret knows */
  readonly secretKeyArn?: string;
  /**
   * File with the certificates of your own authority in PEM format, relative to `projectRoot`. The functions trust only these.
   * @default Amazon's authorities for RDS, and those of Node.js
   */
  readonly caFile?: string;
  /** The name in the server's certificate, if the host is another name for it. @default the host */
  readonly serverName?: string;
  /** Roles that are trusted like the deploy role, for example the owner of the tables. @default none */
  readonly trustedRoles?: readonly string[];
  /** Schemas in which names in definitions and migrations are looked up. @default the search path of the role */
  readonly searchPath?: readonly string[];
  /** Whether errors contain values of rows, in ledger, log, execution history, alert and report. @default false */
  readonly showRowValues?: boolean;
}

/** The log groups of the functions and the state machines. */
export interface LogOptions {
  /** Key that encrypts the log groups. CloudWatch Logs gets the right to use a key of this app. @default CloudWatch's own encryption */
  readonly key?: IKey;
  /** How long logs are kept, in days: a value of `aws_logs.RetentionDays`. @default 90 */
  readonly retentionDays?: number;
  /** Whether the logs of the state machines contain the input and output of each state. It needs `key`. @default false */
  readonly executionData?: boolean;
}

/** Who gets the alerts. */
export interface AlertOptions {
  /** Email addresses to subscribe to the topic. Each recipient has to confirm. @default none */
  readonly emails?: readonly string[];
  /** An existing topic for the alerts and the alarms. @default a new topic, encrypted and with TLS only */
  readonly topic?: ITopic;
  /** Customer-managed key of the topic. @default the key of SNS; with `alarms`, a new topic gets a new key */
  readonly key?: IKey;
}

/** Options with the names, units and limits of an environment in cdk.json. See docs/configuration.md. */
export interface DeployStepOptions {
  /**
   * How indexes are built: `maxConcurrent` tables at the same time (4), `lockTimeoutSeconds` per attempt (300), `attempts`
   * per index (10), `maxPauseSeconds` between two (300), `waitSeconds` for a statement (60), `perRound` builds in one execution
   * (500), `terminateBlockers: { idleInTransactionSeconds }` (no session is terminated), `when: 'before-start' |
   * 'after-start'` for non-critical indexes, `retiredAfterDays` without a scan before a retired index is dropped (14).
   * @default the values in parentheses, before-start
   */
  readonly builds?: NonNullable<EnvironmentInput['builds']>;
  /** Whether the services start after a failed migration. @default 'start' */
  readonly onMigrationFailure?: 'start' | 'leave-stopped';
  /** Whether the services start after the build of a critical index has failed. @default 'leave-stopped' */
  readonly onCriticalFailure?: 'leave-stopped' | 'start';
  /** How long a service that is in the middle of an ECS deployment is waited for, in minutes. 0: refused at once. @default 15 */
  readonly deploymentMinutes?: number;
  /** Deadline for a service to stop, in minutes. @default 10 */
  readonly stopMinutes?: number;
  /** Deadline for a service to be steady after its start, in minutes. @default 15 */
  readonly startMinutes?: number;
  /**
   * How long a deploy with the input `"start": "hold"` leaves the services stopped at most, in minutes, 1 to 1440. Then the recovery
   * starts them. @default 30
   */
  readonly holdMinutes?: number;
  /** How many checks in a row must find a started service as it was before the deploy. @default 3 */
  readonly steadyChecks?: number;
  /**
   * How long non-critical builds may keep the services stopped, in minutes after the first stop. Then they continue online.
   * @default without limit
   */
  readonly windowMinutes?: number;
  /**
   * When a deploy stops the services. `always`: for all work. `when-needed`: not for migrations that are marked as online, nor for
   * index builds. `never`: a migration that is not marked is refused before anything is changed.
   * @default 'always'
   */
  readonly window?: 'always' | 'when-needed' | 'never';
  /**
   * Database sessions of the application that must be closed before the migrations: `roles`, `applicationNames` (patterns of
   * LIKE), and the deadline in `seconds` (60).
   * @default no session is checked
   */
  readonly drain?: NonNullable<EnvironmentInput['drain']>;
  /** Pause between two checks of a service or of the sessions, in seconds. @default 10 */
  readonly pollSeconds?: number;
  /** Whether CloudWatch alarms report failed executions and functions, and services that are stopped for too long. @default false */
  readonly alarms?: boolean;
  /** With `alarms`: how long services may be stopped until an alarm reports it, in minutes. @default 60 */
  readonly stoppedMinutes?: number;
}

/** Properties of DeployStep. */
export interface DeployStepProps extends DeployStepOptions {
  /**
   * The cluster or the instance. Its security group lets the functions in; host and port are its endpoint (of a cluster: the
   * writer's). Not with a pooler or another endpoint: give `databaseOptions.host` then.
   * @default none: the secret says where the database is
   */
  readonly database?: IDatabaseCluster | IDatabaseInstance;
  /**
   * The secret with the deploy role's `username` and `password`, as RDS writes it. A role with less rights than the master user
   * is better: docs/configuration.md.
   * @default the secret that CDK has generated for `database`, or that RDS manages for it
   */
  readonly secret?: ISecret;
  /** @default see each option */
  readonly databaseOptions?: DatabaseOptions;
  /** What is stopped before the migrations and started afterwards. @default nothing: migrations and builds run online */
  readonly services?: readonly StoppedService[];
  /** The index registry: path of a module or JSON file, relative to `projectRoot`; or its entries. @default 'database/indexes.ts' */
  readonly indexes?: string | readonly IndexEntry[] | Registry;
  /**
   * Folder with SQL migrations, relative to `projectRoot`; `'none'`; or an object with a `runner` (`sql`, `ecs-task`, `lambda`,
   * `none`), as `migrations` in cdk.json.
   * @default 'database/migrations'
   */
  readonly migrations?: NonNullable<EnvironmentInput['migrations']>;
  /** Paths are relative to this folder. @default the working directory, which for the CDK is the folder of cdk.json */
  readonly projectRoot?: string;
  /** VPC of the functions. @default the VPC of `database` if it was created in this app, otherwise no VPC */
  readonly vpc?: ec2.IVpc;
  /**
   * Subnets of the functions, with a route to the database, Secrets Manager, Step Functions and CloudWatch (NAT or endpoints).
   * @default private subnets; without any, isolated ones
   */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** Security groups of the functions. @default a new one */
  readonly securityGroups?: readonly ec2.ISecurityGroup[];
  /**
   * Part of the names of all resources, `pg-deploy-step-NAME-…`, and the name of the environment in reports and alerts: lower-case
   * letters, digits and -, at most 31 characters. Unique in the account and region.
   * @default the name of the stack in lower case, with the construct's id if that is not DeployStep
   */
  readonly environmentName?: string;
  /** What the names begin with, before pg-deploy-step. @default nothing */
  readonly namePrefix?: string;
  /** @default a new topic without subscriptions */
  readonly alerts?: AlertOptions;
  /** @default 90 days, encrypted by CloudWatch */
  readonly logs?: LogOptions;
  /** Key that encrypts definitions and execution histories of the state machines. @default a key of AWS */
  readonly stateMachineKey?: IKey;
  /** Whether log groups, the alert topic and its key remain when the stack is deleted. @default false */
  readonly retain?: boolean;
  /**
   * The registry and the migrations, compiled before: then `indexes` is not read.
   * @default they are compiled and linted by a process that the constructor waits for
   */
  readonly files?: CompiledFiles;
}
