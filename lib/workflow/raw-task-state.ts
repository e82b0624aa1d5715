import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { FieldUtils, TaskStateBase, type TaskStateBaseProps } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

export interface RawTaskStateProps extends TaskStateBaseProps {
  /** ARN of the integration, such as arn:aws:states:::ecs:runTask.sync. */
  resource: string;
  parameters: Record<string, unknown>;
  /** All permissions that the role of the state machine needs. None is added automatically. */
  policies: PolicyStatement[];
}

/**
 * A Task state with explicit parameters and permissions. Use it where the CDK's class for the integration does not accept
 * the target or grants too much.
 */
export class RawTaskState extends TaskStateBase {
  protected readonly taskMetrics = undefined;
  protected readonly taskPolicies: PolicyStatement[];
  readonly #rendered: object;

  constructor(scope: Construct, id: string, props: RawTaskStateProps) {
    const { resource, parameters, policies, ...base } = props;
    super(scope, id, base);
    this.taskPolicies = policies;
    this.#rendered = { Resource: resource, Parameters: FieldUtils.renderObject(parameters) };
  }

  protected override _renderTask(): object {
    return this.#rendered;
  }
}
