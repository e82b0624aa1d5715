import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, type IChainable, LogLevel, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

export interface WorkflowMachineProps {
  machineName: string;
  comment: string;
  definition: IChainable;
  /** The execution's own limit: nothing catches it inside, so a parent must. */
  timeout: Duration;
}

/** A standard state machine of the workflow: fixed name, JSONPath, logs, X-Ray. */
export class WorkflowMachine extends StateMachine {
  constructor(scope: Construct, id: string, props: WorkflowMachineProps) {
    super(scope, id, {
      stateMachineName: props.machineName,
      comment: props.comment,
      definitionBody: DefinitionBody.fromChainable(props.definition),
      timeout: props.timeout,
      tracingEnabled: true,
      logs: {
        level: LogLevel.ALL,
        includeExecutionData: true,
        destination: new logs.LogGroup(scope, `${id}Logs`, {
          // This prefix keeps the log delivery's resource policy from outgrowing its limit.
          logGroupName: `/aws/vendedlogs/states/${props.machineName}`,
          retention: logs.RetentionDays.THREE_MONTHS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      },
    });
  }
}
