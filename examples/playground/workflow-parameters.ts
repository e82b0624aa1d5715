import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';

export interface WorkflowParametersProps {
  environmentName: string;
  /** Names of the services. */
  services: readonly string[];
}

/**
 * Deletes the parameters that a workflow has written, together with its stack: it keeps the lock of the deploy, and after a failure more.
 * The state machines have to be deleted before.
 */
export class WorkflowParameters extends Construct {
  constructor(scope: Construct, id: string, { environmentName, services }: WorkflowParametersProps) {
    super(scope, id);
    const names = [
      ...['deploy-lock', 'recovery', 'recovery-failed', 'left-stopped'],
      ...services.flatMap((service) => [`services/${service}`, `incidents/${service}`]),
    ].map((name) => `/pg-deploy-step/${environmentName}/${name}`);
    new AwsCustomResource(this, 'Parameters', {
      onCreate: {
        service: 'SSM',
        action: 'getParameters',
        parameters: { Names: names },
        physicalResourceId: PhysicalResourceId.of('parameters'),
      },
      onDelete: { service: 'SSM', action: 'deleteParameters', parameters: { Names: names } },
      policy: AwsCustomResourcePolicy.fromSdkCalls({
        resources: names.map((name) =>
          Stack.of(this).formatArn({ service: 'ssm', resource: 'parameter', resourceName: name.slice(1) }),
        ),
      }),
      installLatestAwsSdk: false,
      logGroup: new logs.LogGroup(this, 'Logs', {
        retention: logs.RetentionDays.ONE_DAY,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    });
  }
}
