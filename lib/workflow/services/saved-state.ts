import { ArnFormat, Stack } from 'aws-cdk-lib';
import { JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { awsCall } from '../aws-call.ts';

/*
 * What is remembered while services are stopped, in Parameter Store: it outlives every execution. For each service what
 * it is to be started with again, and once, where a critical failure left the services stopped on purpose, the marker.
 */

/** Name of the parameter that remembers a service. */
export function memoryName(environmentName: string, service: string): string {
  return `/pg-deploy-step/${environmentName}/services/${service}`;
}

/** Name of the parameter that says that services are stopped on purpose. */
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

/** Step Functions names an SDK's exceptions after the Java SDK's classes. */
export const PARAMETER_EXISTS = ['Ssm.ParameterAlreadyExistsException'];
export const PARAMETER_MISSING = ['Ssm.ParameterNotFoundException'];

/** Where a parameter's name comes from, and which parameters that may be. */
export interface ParameterName {
  name: string;
  arns: string[];
}

/** Writes `$.remembered` down. Without `overwrite` it fails where an earlier run did so: that one's word is the true one. */
export function putMemory(
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
      Value: JsonPath.jsonToString(JsonPath.objectAt('$.remembered')),
      Description: 'pg-deploy-step: kept while services are stopped',
    },
  });
}

/** Reads a memory into `$.memory.value`. */
export function getMemory(scope: Construct, id: string, parameter: ParameterName): CallAwsService {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'getParameter',
    iamResources: parameter.arns,
    parameters: { Name: parameter.name },
    result: { path: '$.memory', selector: { 'value.$': 'States.StringToJson($.Parameter.Value)' } },
  });
}

export function deleteMemory(scope: Construct, id: string, parameter: ParameterName): CallAwsService {
  return awsCall(scope, id, {
    api: 'ssm',
    action: 'deleteParameter',
    iamResources: parameter.arns,
    parameters: { Name: parameter.name },
  });
}
