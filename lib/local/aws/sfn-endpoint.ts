import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A running execution, as ListExecutions returns it. */
export interface RunningExecution {
  readonly arn: string;
  readonly name: string;
  readonly machineArn: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

export interface SfnEndpoint {
  /** Value for AWS_ENDPOINT_URL_SFN. */
  readonly url: string;
  close(): Promise<void>;
}

const TARGET = 'AWSStepFunctions.ListExecutions';

/**
 * Starts an HTTP endpoint of Step Functions for the SDK in a function's bundle. It supports only ListExecutions.
 * @param running returns the running executions of a state machine
 */
export async function openSfnEndpoint(
  running: (machineArn: string) => Promise<readonly RunningExecution[]>,
): Promise<SfnEndpoint> {
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
    if (request.headers['x-amz-target'] !== TARGET) {
      answer(400, {
        __type: 'UnknownOperationException',
        message: `The local endpoint supports only ${TARGET}.`,
      });
      return;
    }
    const { stateMachineArn, statusFilter } = JSON.parse(await text(request)) as Record<string, unknown>;
    if (typeof stateMachineArn !== 'string' || statusFilter !== 'RUNNING') {
      answer(400, {
        __type: 'ValidationException',
        message: 'stateMachineArn and the statusFilter RUNNING are required.',
      });
      return;
    }
    answer(200, {
      executions: (await running(stateMachineArn)).map((execution) => ({
        executionArn: execution.arn,
        name: execution.name,
        stateMachineArn: execution.machineArn,
        status: 'RUNNING',
        startDate: execution.startedAt / 1000,
      })),
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
