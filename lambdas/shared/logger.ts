import { Logger } from '@aws-lambda-powertools/logger';

/** The log of one function: JSON lines with the fields that Lambda's log format expects. */
export function createLogger(functionName: string): Logger {
  return new Logger({ serviceName: `pg-deploy-step/${functionName}` });
}

/** What the decisions need of a logger, so that they can be run without Lambda. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
