import { Pass } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

/** Says why a service cannot be stopped. */
export function refusal(scope: Construct, id: string, reason: string): Pass {
  return new Pass(scope, id, { parameters: { reason }, resultPath: '$.refusal' });
}
