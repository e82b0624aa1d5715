import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  type TaskStateBase,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from '../aws-call.ts';
import { catchAll } from '../retry-and-catch.ts';
import type { ListNames } from '../state-names.ts';
import { parameterArn } from './saved-state.ts';

export interface ListSavedStatesProps {
  names: ListNames;
  /** The path that contains the saved states. */
  path: string;
  /** Continues with all names in `$.listed.names`, each once. */
  next: IChainable;
  /**
   * Continues with the names that are known so far, and with the error in `$.listFailure`.
   * @default an error of Parameter Store fails the execution
   */
  onError?: IChainable;
}

/** Parameter Store returns at most 10 parameters at a time. */
const PAGE_SIZE = 10;

/** Adds the names of all saved states to the names in `$.listed.names`. @returns the first state */
export function listSavedStates(
  scope: Construct,
  { names, path, next, onError }: ListSavedStatesProps,
): TaskStateBase {
  const list = (id: string, page: Record<string, unknown>) => {
    const call = awsCall(scope, id, {
      api: 'ssm',
      action: 'getParametersByPath',
      // The resource of this action is the path itself.
      iamResources: [parameterArn(scope, path)],
      parameters: { Path: path, MaxResults: PAGE_SIZE, ...page },
      // The token as a list, because the last page has none, and a path to a missing field would fail the execution.
      result: {
        path: '$.page',
        selector: { 'names.$': '$.Parameters[*].Name', 'token.$': '$..NextToken' },
      },
    });
    if (onError !== undefined) catchAll(call, onError, '$.listFailure');
    return call;
  };
  const first = list(names.list, {});
  const more = list(names.listMore, { NextToken: JsonPath.stringAt('$.page.token[0]') });
  const addPage = new Pass(scope, names.addPage, {
    parameters: { 'both.$': 'States.Array($.listed.names, $.page.names)' },
    resultPath: '$.listed',
  });
  const merge = new Pass(scope, names.merge, {
    parameters: { 'names.$': 'States.ArrayUnique($.listed.both[*][*])' },
    resultPath: '$.listed',
  });
  first.next(addPage);
  more.next(addPage);
  addPage
    .next(merge)
    .next(
      new Choice(scope, names.morePages).when(Condition.isPresent('$.page.token[0]'), more).otherwise(next),
    );
  return first;
}
