import { Duration } from 'aws-cdk-lib';
import { JsonPath, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { apiRetry } from './retry.ts';
import type { ServiceTargets } from './service-target.ts';

/*
 * The AWS calls that stop and start services, as SDK integrations: nothing to bundle, visible in the console. Each reads
 * the item `$.service` of the Map that it runs in (see ServiceTarget).
 */

interface Call {
  api: keyof typeof APIS;
  action: string;
  iamAction: string;
  iamResources: string[];
  parameters: Record<string, unknown>;
  /** Where the selected part of the answer goes. Undefined: it is thrown away. */
  result?: { path: string; selector: Record<string, unknown> };
}

/** Names that the SDK integrations give the services, with the prefix of their errors. */
const APIS = { ecs: 'Ecs', ssm: 'Ssm', applicationautoscaling: 'ApplicationAutoScaling' } as const;

function call(scope: Construct, id: string, props: Call): CallAwsService {
  const state = new CallAwsService(scope, id, {
    service: props.api,
    action: props.action,
    iamAction: props.iamAction,
    iamResources: props.iamResources,
    parameters: props.parameters,
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    ...(props.result === undefined
      ? { resultPath: JsonPath.DISCARD }
      : { resultSelector: props.result.selector, resultPath: props.result.path }),
  });
  state.addRetry(apiRetry(APIS[props.api]));
  return state;
}

function describe(
  scope: Construct,
  id: string,
  services: ServiceTargets,
  result: { path: string; selector: Record<string, unknown> },
): CallAwsService {
  return call(scope, id, {
    api: 'ecs',
    action: 'describeServices',
    iamAction: 'ecs:DescribeServices',
    iamResources: services.serviceArns,
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      Services: JsonPath.array(JsonPath.stringAt('$.service.service')),
    },
    result,
  });
}

/** Asks ECS for a service into `$.described.services`, a list: it is empty where the service does not exist. */
export function describeService(scope: Construct, id: string, services: ServiceTargets): CallAwsService {
  return describe(scope, id, services, { path: '$.described', selector: { 'services.$': '$.Services' } });
}

/** Asks ECS for the counts of a service that is known to exist, into `$.counts`. */
export function describeCounts(scope: Construct, id: string, services: ServiceTargets): CallAwsService {
  return describe(scope, id, services, {
    path: '$.counts',
    selector: {
      'desired.$': '$.Services[0].DesiredCount',
      'running.$': '$.Services[0].RunningCount',
      'pending.$': '$.Services[0].PendingCount',
    },
  });
}

/** Sets the desired count: to a number, or to what JsonPath.numberAt says. */
export function setDesiredCount(
  scope: Construct,
  id: string,
  services: ServiceTargets,
  desiredCount: number,
): CallAwsService {
  return call(scope, id, {
    api: 'ecs',
    action: 'updateService',
    iamAction: 'ecs:UpdateService',
    iamResources: services.serviceArns,
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      Service: JsonPath.stringAt('$.service.service'),
      DesiredCount: desiredCount,
    },
  });
}

/** Suspends or resumes all three kinds of scaling. Registering again without limits leaves the limits as they are. */
export function suspendScaling(
  scope: Construct,
  id: string,
  services: ServiceTargets,
  suspended: boolean,
): CallAwsService {
  return call(scope, id, {
    api: 'applicationautoscaling',
    action: 'registerScalableTarget',
    // The integration's service name is not the IAM prefix.
    iamAction: 'application-autoscaling:RegisterScalableTarget',
    iamResources: services.scalableTargetArns,
    parameters: {
      ServiceNamespace: 'ecs',
      ResourceId: JsonPath.stringAt('$.service.resourceId'),
      ScalableDimension: 'ecs:service:DesiredCount',
      SuspendedState: {
        DynamicScalingInSuspended: suspended,
        DynamicScalingOutSuspended: suspended,
        ScheduledScalingSuspended: suspended,
      },
    },
  });
}

/** Writes `$.remembered` down unless an earlier run already did: then that one's count is the true one. */
export function putRemembered(scope: Construct, id: string, services: ServiceTargets): CallAwsService {
  return call(scope, id, {
    api: 'ssm',
    action: 'putParameter',
    iamAction: 'ssm:PutParameter',
    iamResources: services.parameterArns,
    parameters: {
      Name: JsonPath.stringAt('$.service.parameter'),
      Type: 'String',
      Overwrite: false,
      Value: JsonPath.jsonToString(JsonPath.objectAt('$.remembered')),
      Description: 'pg-deploy-step: what to start this service with again',
    },
  });
}

/** Reads what was remembered into `$.memory.value`. */
export function getRemembered(scope: Construct, id: string, services: ServiceTargets): CallAwsService {
  return call(scope, id, {
    api: 'ssm',
    action: 'getParameter',
    iamAction: 'ssm:GetParameter',
    iamResources: services.parameterArns,
    parameters: { Name: JsonPath.stringAt('$.service.parameter') },
    result: { path: '$.memory', selector: { 'value.$': 'States.StringToJson($.Parameter.Value)' } },
  });
}

export function forgetRemembered(scope: Construct, id: string, services: ServiceTargets): CallAwsService {
  return call(scope, id, {
    api: 'ssm',
    action: 'deleteParameter',
    iamAction: 'ssm:DeleteParameter',
    iamResources: services.parameterArns,
    parameters: { Name: JsonPath.stringAt('$.service.parameter') },
  });
}

/** Step Functions names an SDK's exceptions after the Java SDK's classes. */
export const PARAMETER_EXISTS = ['Ssm.ParameterAlreadyExistsException'];
export const PARAMETER_MISSING = ['Ssm.ParameterNotFoundException'];
