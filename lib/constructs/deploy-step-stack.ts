import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { DeployStep } from './deploy-step.ts';
import type { DeployStepProps } from './deploy-step-props.ts';

/** Properties of DeployStepStack. */
export interface DeployStepStackProps extends StackProps, DeployStepProps {}

/** A stack with a DeployStep and nothing else, so that it can be deployed before the application's own stacks. */
export class DeployStepStack extends Stack {
  readonly deployStep: DeployStep;

  constructor(scope: Construct, id: string, props: DeployStepStackProps) {
    super(scope, id, props);
    // The id Default is no part of logical ids.
    this.deployStep = new DeployStep(this, 'Default', props);
    addOutputs(this, this.deployStep);
  }
}

/** The outputs that a person needs to start a deploy and to subscribe to the alerts. */
export function addOutputs(stack: Stack, { stateMachine, topic }: DeployStep): void {
  new CfnOutput(stack, 'DeployMachineArn', { value: stateMachine.stateMachineArn });
  new CfnOutput(stack, 'AlertTopicArn', { value: topic.topicArn });
}
