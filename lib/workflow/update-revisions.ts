import { Map as MapState, Pass, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { NULL } from './null-parameters.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { WINDOW } from './state-names.ts';

/**
 * Gives running services the revisions that the input of a deploy names, if nothing else needs a maintenance window. Nothing is
 * stopped or saved: ECS completes its deployments by itself, also after a kill.
 * Reads `$.checked`, writes an item for each service to `$.updated`.
 */
export function updateRevisions(scope: Construct, services: ServiceTargets): MapState {
  const outcome = (id: string, result: string, ok: boolean, error?: string) =>
    new Pass(scope, id, {
      parameters: {
        'name.$': '$.service.name',
        outcome: result,
        ok,
        'revision.$': '$.service.revision',
        ...(error === undefined ? { error: NULL } : { 'error.$': error }),
      },
    });
  const first = services.kinds
    .map((kind) =>
      kind.updateRevision?.(scope, {
        updated: outcome(WINDOW.update.updated, 'updated', true),
        late: outcome(WINDOW.update.late, 'not-steady', false),
        failed: outcome(WINDOW.update.failed, 'failed', false, '$.failure'),
        unchanged: new Pass(scope, WINDOW.update.unchanged, {
          parameters: { 'name.$': '$.service.name', outcome: 'unchanged', ok: true },
        }),
      }),
    )
    .find((state): state is State => state !== undefined);
  const map = new MapState(scope, WINDOW.update.all, {
    comment: 'Gives running services their new revisions, without a stop',
    itemsPath: '$.checked',
    itemSelector: { 'service.$': '$$.Map.Item.Value.service' },
    resultPath: '$.updated',
  });
  if (first !== undefined) map.itemProcessor(first);
  return map;
}
