import { Logger } from '@aws-lambda-powertools/logger';
import { visibleLines } from './visible-text.ts';

/**
 * The logger of one function. It writes JSON lines with the fields of Lambda's log format. Texts contain no control characters
 * except line ends, so that a terminal can show the messages without their JSON.
 */
export function createLogger(functionName: string): Logger {
  return new Logger({
    serviceName: `pg-deploy-step/${functionName}`,
    jsonReplacerFn: (_key, value) => (typeof value === 'string' ? visibleLines(value) : value),
  });
}

/** The part of a logger that the code of the functions uses, so that it can run without Lambda. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
