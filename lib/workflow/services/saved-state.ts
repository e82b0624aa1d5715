import { ArnFormat, Stack } from 'aws-cdk-lib';
import { JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { awsCall } from '../aws-call.ts';

/*
 * While services are stopped, Parameter Store holds what is needed to start them, because it outlives every execution:
 * one parameter for each service with the state to restore, and a marker if a failed deploy left the services stopped
 * deliberately. Later versions of the product read these parameters: do not change the names or the fields.
 */

/** Name of the parameter with the saved state of a service. */
export function savedStateName(environmentName: string, service: string): string {
  return `/pg-deploy-step/${environmentName}/services/${service}`;
}

/** Name of the marker: services are left stopped deliberately. */
export function markerName(environmentName: string): string {
  return `/pg-deploy-step/${environmentName}/left-stopped`;
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
): CallAwsService {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'putParameter',
    iamResources: parameter.arns,
    parameters: {
      Name: parameter.name,
      Type: 'String',
      Overwrite: overwrite,
      Value: JsonPath.jsonToString(JsonPath.objectAt('$.stateToSave')),
      Description: 'pg-deploy-step: needed while services are stopped',
    },
  });
}

/** Reads the parameter into `$.savedState.value`. */
export function readState(scope: Construct, id: string, parameter: ParameterName): CallAwsService {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'getParameter',
    iamResources: parameter.arns,
    parameters: { Name: parameter.name },
    result: { path: '$.savedState', selector: { 'value.$': 'States.StringToJson($.Parameter.Value)' } },
  });
}

export function deleteState(scope: Construct, id: string, parameter: ParameterName): CallAwsService {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'deleteParameter',
    iamResources: parameter.arns,
    parameters: { Name: parameter.name },
  });
}
