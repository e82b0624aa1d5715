import { Logger } from '@aws-lambda-powertools/logger';

/** The logger of one function. It writes JSON lines with the fields of Lambda's log format. */
export function createLogger(functionName: string): Logger {
  return new Logger({ serviceName: `pg-deploy-step/${functionName}` });
}

/** The part of a logger that the code of the functions uses, so that it can run without Lambda. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
