import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { ITopic } from 'aws-cdk-lib/aws-sns';

/** Where the functions run. */
export interface FunctionNetwork {
  readonly vpc: IVpc;
  readonly vpcSubnets: SubnetSelection;
  readonly securityGroups: ISecurityGroup[];
}

/** The existing resources that an environment uses, as CDK objects. The configuration of the environment has their names. */
export interface EnvironmentResources {
  /** @default the functions run outside of a VPC */
  readonly network?: FunctionNetwork | undefined;
  /** The secret of the database. Its key is granted too, if the object knows it. @default none: the functions log in with IAM */
  readonly secret?: ISecret | undefined;
  /** Name of the database if the secret has none. @default none */
  readonly databaseName?: string | undefined;
  /** Topic of the alerts. @default a new one */
  readonly topic?: ITopic | undefined;
  /** Key of the topic. @default as documented in AlertTopicProps */
  readonly topicKey?: IKey | undefined;
  /** Key of the log groups. @default CloudWatch's own encryption */
  readonly logsKey?: IKey | undefined;
}
