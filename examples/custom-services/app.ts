import { resolve } from 'node:path';
import { App, ArnFormat, Stack } from 'aws-cdk-lib';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { DeployStep } from 'pg-deploy-step';
import { stopAutoScalingGroup, stopLambdaFunction } from './stop-function.ts';

/** A deploy that stops a Lambda function and an Auto Scaling group, which exist already. */
const app = new App();
const { account, region, network, secretArn, stopped } = app.node.getAllContext();
const stack = new Stack(app, 'example-custom-services', { env: { account, region } });

const thumbnails = LambdaFunction.fromFunctionName(stack, 'Thumbnails', stopped.function);
const stopThumbnails = stopLambdaFunction(stack, 'StopThumbnails', {
  name: thumbnails.functionName,
  arn: thumbnails.functionArn,
});
const stopWorkers = stopAutoScalingGroup(stack, 'StopWorkers', {
  name: stopped.autoScalingGroup,
  arn: stack.formatArn({
    service: 'autoscaling',
    resource: 'autoScalingGroup',
    // The id of the group, which nobody knows before it exists.
    resourceName: `*:autoScalingGroupName/${stopped.autoScalingGroup}`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  }),
});

new DeployStep(stack, 'DeployStep', {
  environmentName: 'example',
  secret: Secret.fromSecretCompleteArn(stack, 'Secret', secretArn),
  vpc: Vpc.fromVpcAttributes(stack, 'Vpc', network),
  services: [
    { function: stopThumbnails, name: 'thumbnails' },
    { function: stopWorkers, name: 'workers' },
  ],
  // The folder that contains database/.
  projectRoot: resolve(import.meta.dirname, '../..'),
});
