/*
 * The process of one sandbox of the local Lambda. lambda-sandbox.ts starts it with the module and the export as
 * arguments and with the function's variables only. It loads the handler once, then handles one invocation at a time.
 */
import { flushCompileCache, registerHooks } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { InvocationRequest, InvocationResponse, LambdaErrorPayload } from './lambda-sandbox.ts';

type Handler = (event: unknown, context: unknown) => unknown;

// Keeps this module as it was compiled, because the host kills its sandboxes and nothing is kept then. The functions are in
// temporary folders, in which the next process does not find them again. They do not get the variable, as in Lambda.
flushCompileCache();
delete process.env.NODE_COMPILE_CACHE;

// Lambda's runtime includes the AWS SDK, so the bundles do not contain it. Here this project's copy is used.
registerHooks({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (!/^@(aws-sdk|smithy)\//.test(specifier)) throw error;
      return next(specifier, { ...context, parentURL: import.meta.url });
    }
  },
});

// The sandbox ends with its host. With process.exit() it would keep the functions as they were compiled.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const [module = '', exported = ''] = process.argv.slice(2);
const loaded: Promise<Handler | LambdaErrorPayload> = load(module, exported);

process.on('message', (message: InvocationRequest) => {
  void answer(message);
});

async function answer({ event, context }: InvocationRequest): Promise<void> {
  const handler = await loaded;
  if (typeof handler !== 'function') {
    send({ type: 'error', payload: handler });
    return;
  }
  const { deadline } = context;
  const lambdaContext = {
    functionName: context.functionName,
    functionVersion: context.functionVersion,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    invokedFunctionArn: context.invokedFunctionArn,
    awsRequestId: context.awsRequestId,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  try {
    const result: unknown = await handler(JSON.parse(event), lambdaContext);
    send({ type: 'result', result: JSON.stringify(result) ?? 'null' });
  } catch (error) {
    send({ type: 'error', payload: describe(error) });
  }
}

async function load(file: string, name: string): Promise<Handler | LambdaErrorPayload> {
  try {
    const loadedModule = (await import(pathToFileURL(path.resolve(file)).href)) as Record<string, unknown>;
    const handler = loadedModule[name];
    if (typeof handler === 'function') return handler as Handler;
    return {
      errorType: 'Runtime.HandlerNotFound',
      errorMessage: `${path.parse(file).name}.${name} is undefined or not exported`,
      trace: [],
    };
  } catch (error) {
    const payload = describe(error);
    // Lambda's runtime has its own names for these two errors. It passes on any other error unchanged.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      return { ...payload, errorType: 'Runtime.ImportModuleError', errorMessage: String(error) };
    }
    if (error instanceof SyntaxError) {
      return { ...payload, errorType: 'Runtime.UserCodeSyntaxError', errorMessage: String(error) };
    }
    return payload;
  }
}

function describe(error: unknown): LambdaErrorPayload {
  if (!(error instanceof Error)) {
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  }
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
}

function send(message: InvocationResponse): void {
  process.send?.(message);
}
