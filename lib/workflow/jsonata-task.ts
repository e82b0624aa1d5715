import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  type IChainable,
  QueryLanguage,
  TaskStateBase,
  type TaskStateBaseProps,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

export interface JsonataTaskProps extends Pick<TaskStateBaseProps, 'comment' | 'taskTimeout'> {
  /** ARN of the integration, such as arn:aws:states:::aws-sdk:scheduler:updateSchedule. */
  resource: string;
  /** The parameters of the call: values, and expressions between {% and %}. Or one expression for all of them. */
  arguments: Record<string, unknown> | string;
  /** Expression of an object whose fields are added to the input. @default none: the response is discarded */
  adds?: string;
  /** All permissions that the role of the state machine needs. None is added automatically. */
  policies: PolicyStatement[];
}

/**
 * A Task state that uses JSONata, while the state machine uses JSONPath. Only where JSONPath is not able to do it: to send an
 * object of optional fields as the whole request, and to check a response that any code may have written.
 * An expression that fails is an error that a Catch handles (States.QueryEvaluationError).
 */
export class JsonataTask extends TaskStateBase {
  protected readonly taskMetrics = undefined;
  protected readonly taskPolicies: PolicyStatement[];
  readonly #rendered: object;

  constructor(
    scope: Construct,
    id: string,
    { resource, arguments: sent, adds, policies, ...base }: JsonataTaskProps,
  ) {
    super(scope, id, {
      ...base,
      queryLanguage: QueryLanguage.JSONATA,
      outputs: adds === undefined ? INPUT : added(adds),
    });
    this.taskPolicies = policies;
    this.#rendered = { Resource: resource, Arguments: sent };
  }

  protected override _renderTask(): object {
    return this.#rendered;
  }
}

/** The output of a state that adds nothing to its input. */
const INPUT = jsonata('$states.input');

/** An expression as Step Functions marks it. */
export function jsonata(expression: string): string {
  return `{% ${expression} %}`;
}

function added(fields: string): string {
  return jsonata(`$merge([$states.input, ${fields}])`);
}

/** Continues with the input of the state after one of these errors. */
export function catchNamed(state: JsonataTask, errors: string[], next: IChainable): void {
  state.addCatch(next, { errors, outputs: INPUT });
}

/** Characters of the Cause of an error. That of a function is JSON, which only as a whole can be read: its message and its trace. */
const WHOLE_CAUSE = 3000;
const SHORTENED_CAUSE = 1000;
const CAUSE = "$string($states.errorOutput.Cause ? $states.errorOutput.Cause : '')";

/** Any code may have written the error, so its texts are bounded. */
const CAUGHT = `($cause := ${CAUSE}; {'Error': $substring($string($states.errorOutput.Error), 0, 200), 'Cause': $length($cause) <= ${WHOLE_CAUSE} ? $cause : $substring($cause, 0, ${SHORTENED_CAUSE})})`;

/** Catches every error that a Catch can handle, and writes it to `$.failure`. */
export function catchAllJsonata(state: JsonataTask, next: IChainable): void {
  for (const error of ['States.DataLimitExceeded', 'States.ALL'])
    state.addCatch(next, { errors: [error], outputs: added(`{'failure': ${CAUGHT}}`) });
}
