import { Choice, Condition, JsonPath, Pass, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from '../aws-call.ts';
import { catchAll } from '../retry-and-catch.ts';
import { ECS } from '../state-names.ts';
import type { AfterCheck } from './service-kind.ts';

/*
 * The revision of its task definition on which a service comes back, if the input of the deploy names one. `$.service.requested` has
 * it as it was given: a list, which is empty if it names none. After the check, `$.service.revision` has the ARNs, and becomes part of
 * the saved state: `from`, the revision that the service had, and `to`, each as a list of one.
 */

/** The input names a revision for the service. */
export const IS_REVISION_REQUESTED = Condition.isPresent('$.service.requested[0]');

const REQUESTED = '$.service.requested[0]';
const CURRENT = '$.described.taskDefinition[0]';
const CONTROLLER = '$.described.controller[0]';

/** ECS sets the revision of a service only if it makes the deployments itself. Reads `$.described`. */
const IS_SET_BY_OTHERS = Condition.or(
  Condition.not(Condition.isPresent(CURRENT)),
  Condition.and(Condition.isPresent(CONTROLLER), Condition.not(Condition.stringEquals(CONTROLLER, 'ECS'))),
);

/**
 * Checks that the requested revision is one that the service can have: ACTIVE, of its family, and with roles that the deploy may
 * pass to ECS.
 * @returns the first state
 */
export function checkRevision(scope: Construct, next: AfterCheck): State {
  const refuse = (id: string, reason: string) => {
    const state = new Pass(scope, id, {
      parameters: { 'reason.$': `States.Format('${reason}', ${REQUESTED})`, waits: false },
      resultPath: '$.refusal',
    });
    state.next(next.refused);
    return state;
  };
  const otherController = refuse(
    ECS.revision.otherController,
    'another controller than ECS makes its deployments, such as CodeDeploy, so it cannot get the revision {}: remove it from "taskDefinitions"',
  );
  const notFound = refuse(
    ECS.revision.notFound,
    'its revision {} in "taskDefinitions" does not exist in this account and region: register it first',
  );
  const notActive = refuse(
    ECS.revision.notActive,
    'its revision {} in "taskDefinitions" was deregistered: use one that is ACTIVE',
  );
  const otherFamily = refuse(
    ECS.revision.otherFamily,
    'its revision {} in "taskDefinitions" is of another family than the one it has: use a revision of the same family',
  );
  const otherRoles = refuse(
    ECS.revision.otherRoles,
    'its revision {} in "taskDefinitions" has other roles than "roles" of its entry in the configuration, and a deploy may pass only these to ECS: change "roles" and deploy the stack, or use another revision',
  );
  const describe = awsCall(scope, ECS.revision.describe, {
    api: 'ecs',
    action: 'describeTaskDefinition',
    // It only reads, and IAM supports no resources for it.
    iamResources: ['*'],
    parameters: { TaskDefinition: JsonPath.stringAt(REQUESTED) },
    result: {
      path: '$.requested',
      selector: {
        'arn.$': '$.TaskDefinition.TaskDefinitionArn',
        'family.$': '$.TaskDefinition.Family',
        'status.$': '$.TaskDefinition.Status',
        // Lists: a task definition can have no such role.
        'taskRole.$': '$..TaskRoleArn',
        'executionRole.$': '$..ExecutionRoleArn',
      },
    },
  });
  describe.addCatch(notFound, { errors: ['Ecs.ClientException'], resultPath: JsonPath.DISCARD });
  catchAll(describe, next.failed, '$.failure');
  const record = new Pass(scope, ECS.revision.record, {
    parameters: {
      'from.$': '$.described.taskDefinition',
      'to.$': 'States.Array($.requested.arn)',
      // Of an ARN such as arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION.
      'family.$': `States.ArrayGetItem(States.StringSplit(States.ArrayGetItem(States.StringSplit(${CURRENT}, '/'), 1), ':'), 0)`,
    },
    resultPath: '$.service.revision',
  });
  const mayPass = (role: string, configured: string) =>
    Condition.or(Condition.not(Condition.isPresent(role)), Condition.stringEqualsJsonPath(role, configured));
  describe.next(record).next(
    new Choice(scope, ECS.revision.isUsable)
      .when(Condition.not(Condition.stringEquals('$.requested.status', 'ACTIVE')), notActive)
      .when(
        Condition.not(Condition.stringEqualsJsonPath('$.requested.family', '$.service.revision.family')),
        otherFamily,
      )
      .when(
        Condition.not(
          Condition.and(
            mayPass('$.requested.taskRole[0]', '$.service.roles.task'),
            mayPass('$.requested.executionRole[0]', '$.service.roles.execution'),
          ),
        ),
        otherRoles,
      )
      .otherwise(next.usable),
  );
  return new Choice(scope, ECS.revision.isController)
    .when(IS_SET_BY_OTHERS, otherController)
    .otherwise(describe);
}
