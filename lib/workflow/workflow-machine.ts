import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, type IChainable, LogLevel, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

export interface WorkflowMachineProps {
  machineName: string;
  comment: string;
  definition: IChainable;
  /** Time limit of an execution. No Catch in the execution handles this time-out; a parent execution can. */
  timeout: Duration;
}

/** A state machine of the workflow: type standard, fixed name, logs, X-Ray. */
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
          // Log groups with this prefix do not add to the resource policy of CloudWatch Logs, whose size is limited.
          logGroupName: `/aws/vendedlogs/states/${props.machineName}`,
          retention: logs.RetentionDays.THREE_MONTHS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      },
    });
  }
}
