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
  /** The input. Undefined: it runs outside of Step Functions. */
  readonly input?: unknown;
}

export interface SfnEndpoint {
  /** Value for AWS_ENDPOINT_URL_SFN. */
  readonly url: string;
  close(): Promise<void>;
}

const LIST = 'AWSStepFunctions.ListExecutions';
const DESCRIBE = 'AWSStepFunctions.DescribeExecution';

interface SfnEndpointOptions {
  /** The running executions of a state machine. */
  readonly running: (machineArn: string) => Promise<readonly RunningExecution[]>;
  /** An execution, running or not. Undefined: it does not exist, or is not shown yet. */
  readonly describe: (executionArn: string) => (RunningExecution & { readonly status: string }) | undefined;
}

/** Starts an HTTP endpoint of Step Functions for the SDK in a function's bundle. It supports only ListExecutions and DescribeExecution. */
export async function openSfnEndpoint({ running, describe }: SfnEndpointOptions): Promise<SfnEndpoint> {
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
    const target = request.headers['x-amz-target'];
    if (target !== LIST && target !== DESCRIBE) {
      answer(400, {
        __type: 'UnknownOperationException',
        message: `The local endpoint supports only ${LIST} and ${DESCRIBE}.`,
      });
      return;
    }
    const parameters = JSON.parse(await text(request)) as Record<string, unknown>;
    if (target === DESCRIBE) {
      const described = describe(String(parameters.executionArn));
      if (described === undefined) {
        answer(400, {
          __type: 'ExecutionDoesNotExist',
          message: `Execution Does Not Exist: '${parameters.executionArn}'`,
        });
        return;
      }
      const { input, status, ...execution } = described;
      answer(200, { ...shown(execution), status, input: JSON.stringify(input) });
      return;
    }
    const { stateMachineArn, statusFilter } = parameters;
    if (typeof stateMachineArn !== 'string' || statusFilter !== 'RUNNING') {
      answer(400, {
        __type: 'ValidationException',
        message: 'stateMachineArn and the statusFilter RUNNING are required.',
      });
      return;
    }
    answer(200, {
      executions: (await running(stateMachineArn)).map((execution) => ({
        ...shown(execution),
        status: 'RUNNING',
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

function shown({ arn, name, machineArn, startedAt }: RunningExecution) {
  return { executionArn: arn, name, stateMachineArn: machineArn, startDate: startedAt / 1000 };
}
