import { ArnFormat, Stack } from 'aws-cdk-lib';
import { Condition, JsonPath, type TaskStateBase } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { ResourceNames } from '../../config/resource-names.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';

/*
 * While services are stopped, Parameter Store holds what is needed to start them, because it outlives every execution and
 * every version of the stack. Below /pg-deploy-step/ENVIRONMENT/ there are:
 * - services/NAME: the saved state of a service, with everything that its restore needs, whatever is configured then;
 * - incidents/NAME: what the recovery has done for a service that did not start;
 * - left-stopped: a marker, if a failed deploy left the services stopped deliberately, or a deploy holds them: see hold-services.ts;
 * - completed: the ARN of the last deploy that named revisions and ended its window. Its services start on these, and those of any
 *   other deploy on the revision that they have;
 * - recovery: the ARN of the execution that runs as the recovery;
 * - recovery-failed: the alert about a recovery that failed has been sent.
 * Later versions of the product read these parameters: do not change the names or the fields, only add fields.
 */

type Root = Pick<ResourceNames, 'parameters'>;

/** The path that contains the saved states, and nothing else. */
export function savedStatesPath({ parameters }: Root): string {
  return `${parameters}/services`;
}

/** Name of the parameter with the saved state of a service. */
export function savedStateName(names: Root, service: string): string {
  return `${savedStatesPath(names)}/${service}`;
}

/** Name of the marker: services are left stopped deliberately. */
export function markerName({ parameters }: Root): string {
  return `${parameters}/left-stopped`;
}

/** Name of the parameter whose value is the ARN of the last execution of `deploy` that named revisions and ended its window. */
export function completedName({ parameters }: Root): string {
  return `${parameters}/completed`;
}

/** The path of the incidents. */
export function incidentsPath({ parameters }: Root): string {
  return `${parameters}/incidents`;
}

/** Name of the lock: its value is the ARN of the execution that runs as the recovery. */
export function recoveryLockName({ parameters }: Root): string {
  return `${parameters}/recovery`;
}

/** Name of the parameter that exists after a recovery has failed and the alert about it was sent. */
export function recoveryFailureName({ parameters }: Root): string {
  return `${parameters}/recovery-failed`;
}

export function parameterArn(scope: Construct, name: string): string {
  return Stack.of(scope).formatArn({
    service: 'ssm',
    resource: 'parameter',
    resourceName: name.slice(1),
    arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
}

/** SDK integrations name exceptions after the classes of the Java SDK. */
export const PARAMETER_EXISTS = ['Ssm.ParameterAlreadyExistsException'];
export const PARAMETER_MISSING = ['Ssm.ParameterNotFoundException'];

/** The name of a parameter, often a JSONPath, and the ARNs of all parameters that it can refer to. */
export interface ParameterName {
  name: string;
  arns: string[];
}

/**
 * Writes `$.stateToSave` to the parameter. Without `overwrite` it fails if the parameter exists: it holds the state that
 * an earlier deploy saved and did not restore.
 */
export function saveState(
  scope: Construct,
  id: string,
  parameter: ParameterName,
  overwrite: boolean,
): TaskStateBase {
  const value = JsonPath.jsonToString(JsonPath.objectAt('$.stateToSave'));
  return putParameter(scope, id, parameter, { value, overwrite });
}

/** Writes a text to the parameter. Without `overwrite` it fails if the parameter exists. */
export function putParameter(
  scope: Construct,
  id: string,
  parameter: ParameterName,
  { value, overwrite }: { value: string; overwrite: boolean },
): TaskStateBase {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'putParameter',
    iamResources: parameter.arns,
    parameters: {
      Name: parameter.name,
      Type: 'String',
      Overwrite: overwrite,
      Value: value,
      Description: 'pg-deploy-step: needed while services are stopped',
    },
  });
}

/** Reads the parameter into `$.savedState.value`. */
export function readState(scope: Construct, id: string, parameter: ParameterName): TaskStateBase {
  return readParameter(scope, id, parameter, '$.savedState');
}

/** Reads the JSON in a parameter into `value` below the path. */
export function readParameter(
  scope: Construct,
  id: string,
  parameter: ParameterName,
  path: string,
): TaskStateBase {
  return get(scope, id, parameter, {
    path,
    selector: { 'value.$': 'States.StringToJson($.Parameter.Value)' },
  });
}

/** Reads the text in a parameter into `text` below the path. */
export function readText(
  scope: Construct,
  id: string,
  parameter: ParameterName,
  path: string,
): TaskStateBase {
  return get(scope, id, parameter, { path, selector: { 'text.$': '$.Parameter.Value' } });
}

/** Reads the JSON in a parameter into `value` below the path, and its text into `text`. */
export function readTextAndValue(
  scope: Construct,
  id: string,
  parameter: ParameterName,
  path: string,
): TaskStateBase {
  return get(scope, id, parameter, {
    path,
    selector: { 'value.$': 'States.StringToJson($.Parameter.Value)', 'text.$': '$.Parameter.Value' },
  });
}

function get(
  scope: Construct,
  id: string,
  parameter: ParameterName,
  result: NonNullable<AwsCall['result']>,
): TaskStateBase {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'getParameter',
    iamResources: parameter.arns,
    parameters: { Name: parameter.name },
    result,
  });
}

export function deleteState(scope: Construct, id: string, parameter: ParameterName): TaskStateBase {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'deleteParameter',
    iamResources: parameter.arns,
    parameters: { Name: parameter.name },
  });
}

/** The text at the path `completed`, which was read if the parameter exists, is that of the execution at the other path. */
export function isCompletedDeploy(completed: string, execution: string): Condition {
  return Condition.and(
    Condition.isPresent(completed),
    Condition.isPresent(execution),
    Condition.stringEqualsJsonPath(completed, execution),
  );
}

/** The text at the path is the marker of a hold. Parameter Store can contain any text, so it is not parsed. */
export function isHoldMarker(path: string): Condition {
  return Condition.and(Condition.isPresent(path), Condition.stringMatches(path, '*"hold":{*'));
}
