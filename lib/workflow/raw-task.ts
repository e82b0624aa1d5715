import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { FieldUtils, TaskStateBase, type TaskStateBaseProps } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

export interface RawTaskProps extends TaskStateBaseProps {
  /** The integration, such as arn:aws:states:::ecs:runTask.sync. */
  resource: string;
  parameters: Record<string, unknown>;
  /** What the machine's role needs for it: all of it, since nothing is added. */
  policies: PolicyStatement[];
}

/** A Task whose parameters and rights are written out, where the CDK's own state cannot name the target or grants too much. */
export class RawTask extends TaskStateBase {
  protected readonly taskMetrics = undefined;
  protected readonly taskPolicies: PolicyStatement[];
  readonly #rendered: object;

  constructor(scope: Construct, id: string, props: RawTaskProps) {
    const { resource, parameters, policies, ...base } = props;
    super(scope, id, base);
    this.taskPolicies = policies;
    this.#rendered = { Resource: resource, Parameters: FieldUtils.renderObject(parameters) };
  }

  protected override _renderTask(): object {
    return this.#rendered;
  }
}
