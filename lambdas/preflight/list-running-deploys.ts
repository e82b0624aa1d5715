import { DescribeExecutionCommand, paginateListExecutions, SFNClient } from '@aws-sdk/client-sfn';
import type { RunningDeploy } from './other-deploys.ts';

/** Without a route out of the VPC a request would hang until the function times out. */
const REQUEST_TIMEOUT_MS = 5_000;

const client = new SFNClient({
  maxAttempts: 2,
  requestHandler: { connectionTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
});

/** The running executions of a state machine. */
export async function listRunningDeploys(stateMachineArn: string): Promise<RunningDeploy[]> {
  const running: RunningDeploy[] = [];
  for await (const page of paginateListExecutions({ client }, { stateMachineArn, statusFilter: 'RUNNING' })) {
    for (const { executionArn, name, startDate } of page.executions ?? []) {
      running.push({ arn: executionArn ?? '', name: name ?? '', startedAt: startDate?.getTime() ?? 0 });
    }
  }
  return running;
}

/** Whether an execution only plans. An execution whose input cannot be read does more. */
export async function isPlan(executionArn: string): Promise<boolean> {
  try {
    const { input } = await client.send(new DescribeExecutionCommand({ executionArn }));
    return Object(JSON.parse(input ?? '')).mode === 'plan';
  } catch {
    return false;
  }
}
