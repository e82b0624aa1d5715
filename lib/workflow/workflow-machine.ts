import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import {
  CfnStateMachineVersion,
  DefinitionBody,
  type IChainable,
  LogLevel,
  StateMachine,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { type LogSettings, logGroup } from '../logs/log-settings.ts';

export interface WorkflowMachineProps {
  machineName: string;
  comment: string;
  definition: IChainable;
  /** Time limit of an execution. No Catch in the execution handles this time-out; a parent execution can. */
  timeout: Duration;
  logs: LogSettings;
}

/** A state machine of the workflow: type standard, fixed name, logs, X-Ray. */
export class WorkflowMachine extends StateMachine {
  /** The fixed name, as a text. */
  readonly machineName: string;
  #version: CfnStateMachineVersion | undefined;

  constructor(scope: Construct, id: string, props: WorkflowMachineProps) {
    super(scope, id, {
      stateMachineName: props.machineName,
      comment: props.comment,
      definitionBody: DefinitionBody.fromChainable(props.definition),
      timeout: props.timeout,
      tracingEnabled: true,
      logs: {
        level: LogLevel.ALL,
        includeExecutionData: props.logs.executionData,
        // Log groups with this prefix do not add to the resource policy of CloudWatch Logs, whose size is limited.
        destination: logGroup(scope, `${id}Logs`, `/aws/vendedlogs/states/${props.machineName}`, props.logs),
      },
    });
    this.machineName = props.machineName;
  }

  /**
   * ARN of a version with this definition, which later updates of the stack do not change. An execution that starts a child
   * by it runs children of its own generation. The version remains after an update, because such an execution may still
   * start it.
   */
  get versionArn(): string {
    this.#version ??= this.#publishVersion();
    return this.#version.ref;
  }

  #publishVersion(): CfnStateMachineVersion {
    const version = new CfnStateMachineVersion(this, 'Version', {
      stateMachineArn: this.stateMachineArn,
      // With another revision, CloudFormation publishes another version.
      stateMachineRevisionId: this.stateMachineRevisionId,
    });
    version.applyRemovalPolicy(RemovalPolicy.RETAIN);
    return version;
  }
}
