import { Annotations } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import {
  CfnDBCluster,
  CfnDBInstance,
  type IDatabaseCluster,
  type IDatabaseInstance,
} from 'aws-cdk-lib/aws-rds';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { ConfigurationError } from '../config/configuration-error.ts';
import { isManagedSecret } from '../config/database-config.ts';
import type { DeployStepProps } from './deploy-step-props.ts';

/** What was found out about the database. Values can be tokens of CloudFormation. */
export interface ResolvedDatabase {
  /** Undefined: the functions log in with IAM. */
  readonly secret: ISecret | undefined;
  /** Whether RDS manages the secret: then it contains only username and password. */
  readonly isManaged: boolean;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly name: string | undefined;
  /** The name if the secret has none. */
  readonly defaultName: string | undefined;
  /** Undefined: the functions log in with the secret. */
  readonly iam: { readonly user: string; readonly resourceId: string } | undefined;
}

type Given = Pick<DeployStepProps, 'database' | 'secret' | 'databaseOptions'>;
type GivenDatabase = NonNullable<Given['database']>;

/** @throws ConfigurationError for what is missing, and where to give it */
export function databaseOf(construct: Construct, given: Given): ResolvedDatabase {
  const { database, databaseOptions: options = {} } = given;
  const secret = secretOf(construct, given);
  const created = createdBy(database);
  const isOwnSecret = given.secret !== undefined;
  const isManaged = isManagedSecret(secret?.secretArn) || (!isOwnSecret && created?.isManaged === true);
  if (created?.isNameless && !isOwnSecret && !isManaged && options.name === undefined) {
    Annotations.of(construct).addWarningV2(
      'pg-deploy-step:no-database-name',
      `The database ${database?.node.path} has no ${created.nameProperty}, so its secret has no name to connect to, and deploys will be refused. ` +
        'Give databaseOptions.name.',
    );
  }
  // A secret that RDS manages has no name. One of your own can name another database than the default one.
  const isNameInSecret = isOwnSecret && !isManaged && secret !== undefined;
  return {
    secret,
    isManaged,
    ...endpointOf(construct, given),
    name: options.name ?? (isNameInSecret ? undefined : created?.name),
    defaultName: isNameInSecret ? created?.name : undefined,
    iam: options.iam && {
      user: options.iam.user,
      resourceId: resourceIdOf(construct, database, options.iam),
    },
  };
}

/** Lets the functions into the database, on its port. The rule is part of this stack: that of the database must not depend on it. */
export function allowDatabase(connections: ec2.Connections, { database, databaseOptions }: Given): void {
  if (database === undefined) return;
  if (database.connections.defaultPort !== undefined)
    connections.allowToDefaultPort(database, 'pg-deploy-step');
  else connections.allowTo(database, ec2.Port.tcp(databaseOptions?.port ?? 5432), 'pg-deploy-step');
}

/** An imported database does not know its VPC. */
export function warnOfNoVpc(construct: Construct, { database }: Given): void {
  if (database === undefined) return;
  Annotations.of(construct).addWarningV2(
    'pg-deploy-step:no-vpc',
    `The functions run outside of a VPC, because the database ${database.node.path} is imported. Give vpc, if the database is in private subnets.`,
  );
}

/** What CloudFormation creates for a database of this app. */
interface Created {
  readonly isManaged: boolean;
  readonly name: string | undefined;
  /** Whether no secret has a name: the database gets none, and has none of an earlier life. */
  readonly isNameless: boolean;
  /** The property of the CDK that gives the name. */
  readonly nameProperty: string;
  readonly managedSecretArn: string;
}

/** Null: the database is imported. */
function createdBy(database: GivenDatabase | undefined): Created | null {
  const resource = database?.node.defaultChild;
  if (resource instanceof CfnDBCluster) {
    const { databaseName, snapshotIdentifier, replicationSourceIdentifier, sourceDbClusterIdentifier } =
      resource;
    const earlier = snapshotIdentifier ?? replicationSourceIdentifier ?? sourceDbClusterIdentifier;
    return {
      isManaged: resource.manageMasterUserPassword === true,
      name: databaseName,
      isNameless: databaseName === undefined && earlier === undefined,
      nameProperty: 'defaultDatabaseName',
      managedSecretArn: resource.attrMasterUserSecretSecretArn,
    };
  }
  if (!(resource instanceof CfnDBInstance)) return null;
  const { dbName, dbSnapshotIdentifier, sourceDbInstanceIdentifier, dbClusterSnapshotIdentifier } = resource;
  const earlier = dbSnapshotIdentifier ?? sourceDbInstanceIdentifier ?? dbClusterSnapshotIdentifier;
  return {
    isManaged: resource.manageMasterUserPassword === true,
    name: dbName,
    isNameless: dbName === undefined && earlier === undefined,
    nameProperty: 'databaseName',
    managedSecretArn: resource.attrMasterUserSecretSecretArn,
  };
}

/** The secret of the database. Undefined: the functions log in with IAM. */
function secretOf(construct: Construct, { database, secret, databaseOptions }: Given): ISecret | undefined {
  if (databaseOptions?.iam !== undefined) return undefined;
  if (secret !== undefined) return secret;
  const generated = (database as { secret?: ISecret } | undefined)?.secret;
  const created = createdBy(database);
  if (created?.isManaged === true) {
    // Older versions of the CDK do not know that RDS can manage the secret: there the property is that of CloudFormation.
    return Secret.fromSecretAttributes(construct, 'ManagedSecret', {
      secretCompleteArn: created.managedSecretArn,
      ...(generated?.encryptionKey && { encryptionKey: generated.encryptionKey }),
    });
  }
  if (generated !== undefined) return generated;
  throw new ConfigurationError(
    database === undefined
      ? `${construct.node.path}: database is missing. Give a DatabaseCluster or DatabaseInstance, or the secret of the database.`
      : `${construct.node.path}: the database ${database.node.path} has no generated secret, because it is imported or has a password of its own. Give secret.`,
  );
}

function endpointOf(
  construct: Construct,
  { database, databaseOptions: { host, port } = {} }: Given,
): { host: string | undefined; port: number | undefined } {
  if (database === undefined || host !== undefined) return { host, port };
  const endpoint = attributeOf(() =>
    'clusterIdentifier' in database ? database.clusterEndpoint : database.instanceEndpoint,
  );
  if (endpoint !== undefined) return { host: endpoint.hostname, port: port ?? endpoint.port };
  throw new ConfigurationError(
    `${construct.node.path}: the database ${database.node.path} is imported without its endpoint. ` +
      'Give clusterEndpointAddress (the writer) and port where it is imported, or databaseOptions.host.',
  );
}

function resourceIdOf(
  construct: Construct,
  database: GivenDatabase | undefined,
  { resourceId }: { resourceId?: string },
): string {
  const id =
    resourceId ??
    attributeOf(() => {
      if (database === undefined) return undefined;
      return 'clusterIdentifier' in database
        ? (database as IDatabaseCluster).clusterResourceIdentifier
        : (database as IDatabaseInstance).instanceResourceId;
    });
  if (id !== undefined) return id;
  const which =
    database === undefined
      ? 'there is no database'
      : `the database ${database.node.path} is imported without its resource id`;
  throw new ConfigurationError(
    `${construct.node.path}: ${which}. Give databaseOptions.iam.resourceId (DbiResourceId or DbClusterResourceId).`,
  );
}

/** An attribute of a database. Undefined: it is imported without it, and the CDK throws an error or has nothing. */
function attributeOf<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
