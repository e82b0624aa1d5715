import {
  DeleteFunctionConcurrencyCommand,
  GetFunctionConcurrencyCommand,
  GetFunctionConfigurationCommand,
  LambdaClient,
  ListProvisionedConcurrencyConfigsCommand,
  PutFunctionConcurrencyCommand,
} from '@aws-sdk/client-lambda';

/*
 * Stops a Lambda function by its reserved concurrency: with 0, Lambda throttles each new invocation.
 * Saved: { reserved }, null for a function without reserved concurrency.
 */

const lambda = new LambdaClient();
const FunctionName = process.env.STOPPED_FUNCTION;

/** Errors that another attempt can fix. The workflow asks again, for some minutes. */
const RETRIED = ['TooManyRequestsException', 'ResourceConflictException', 'ServiceException'];

export async function handler({ action, state, since }) {
  const actions = { check, stop, look: () => look(state, since), start: () => start(state) };
  try {
    return await actions[action]();
  } catch (error) {
    if (RETRIED.includes(error.name)) throw Object.assign(new Error(error.message), { name: 'RetryLater' });
    throw error;
  }
}

async function check() {
  try {
    const reserved = await readReserved();
    const command = new ListProvisionedConcurrencyConfigsCommand({ FunctionName });
    const { ProvisionedConcurrencyConfigs: provisioned = [] } = await lambda.send(command);
    // Lambda accepts no reserved concurrency that is smaller than the provisioned one.
    return provisioned.length === 0
      ? { usable: true, state: { reserved } }
      : { usable: false, reason: `${FunctionName} has provisioned concurrency: remove it, or the service` };
  } catch (error) {
    if (error.name !== 'ResourceNotFoundException') throw error;
    return { usable: false, reason: `the function ${FunctionName} does not exist` };
  }
}

async function stop() {
  await lambda.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 }));
}

/** Lambda does not say which invocations are running. Each has ended when the longest possible time has passed. */
async function look({ reserved }, since) {
  const current = await readReserved();
  const { Timeout } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
  const hasEnded = Date.now() >= Date.parse(since) + Timeout * 1000;
  return { stopped: current === 0 && hasEnded, started: current !== 0 || reserved === 0 };
}

async function start({ reserved }) {
  // Someone else has started it, with another concurrency: this is kept.
  if ((await readReserved()) !== 0 || reserved === 0) return;
  await lambda.send(
    reserved === null
      ? new DeleteFunctionConcurrencyCommand({ FunctionName })
      : new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: reserved }),
  );
}

async function readReserved() {
  const { ReservedConcurrentExecutions } = await lambda.send(
    new GetFunctionConcurrencyCommand({ FunctionName }),
  );
  return ReservedConcurrentExecutions ?? null;
}
