import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import { lastPart } from './ecs-tasks.ts';
import type { StateFile, TaskDefinitionState } from './state-file.ts';

/** ECS: describes the revisions of the task definitions of services. */
export function taskDefinitionActions(file: StateFile): Actions {
  return Object.fromEntries([
    action(
      'arn:aws:states:::aws-sdk:ecs:describeTaskDefinition',
      z.strictObject({ TaskDefinition: z.string() }),
      ({ TaskDefinition }) => {
        const found = revisionNamed(file, TaskDefinition);
        if (found === undefined)
          throw serviceError('Ecs.ClientException', 'Unable to describe task definition.');
        const { family, revision, status, taskRoleArn, executionRoleArn } = found;
        return {
          TaskDefinition: {
            TaskDefinitionArn: localArn('ecs', `task-definition/${family}:${revision}`),
            Family: family,
            Revision: revision,
            Status: status,
            ...(taskRoleArn !== undefined && { TaskRoleArn: taskRoleArn }),
            ...(executionRoleArn !== undefined && { ExecutionRoleArn: executionRoleArn }),
            ContainerDefinitions: [],
            Volumes: [],
          },
        };
      },
    ),
  ]);
}

/**
 * The revision that a service gets.
 * @param nameOrArn FAMILY:REVISION, or its ARN
 * @throws TaskError as UpdateService does if the service cannot have it
 */
export function usableRevision(file: StateFile, nameOrArn: string): string {
  const found = revisionNamed(file, nameOrArn);
  if (found === undefined) throw serviceError('Ecs.ClientException', 'TaskDefinition not found.');
  if (found.status !== 'ACTIVE') throw serviceError('Ecs.ClientException', 'TaskDefinition is inactive');
  return `${found.family}:${found.revision}`;
}

function revisionNamed({ state }: StateFile, nameOrArn: string): TaskDefinitionState | undefined {
  const [family, revision] = lastPart(nameOrArn).split(':');
  return state.ecs.taskDefinitions.find((one) => one.family === family && `${one.revision}` === revision);
}
