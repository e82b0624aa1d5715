import { visibleLines } from './visible-text.ts';

/** What a line says beside its message. */
type Fields = Readonly<Record<string, unknown>>;

/** The log of one function. */
export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/**
 * The log of a function of the workflow. Each entry is one line of JSON with the names that Powertools for AWS Lambda uses, so
 * that the queries of CloudWatch Logs Insights which people know find them. Texts contain no control characters except line
 * ends, so that a terminal can show the messages without their JSON.
 */
export function createLogger(functionName: string): Log {
  const service = `pg-deploy-step/${functionName}`;
  const writer =
    (level: string) =>
    (message: string, fields: Fields = {}) => {
      const entry = {
        level,
        message,
        timestamp: new Date().toISOString(),
        service,
        xray_trace_id: traceId(),
      };
      // The second one, so that no field replaces a part of the entry; the first one for the order.
      const line = JSON.stringify({ ...entry, ...fields, ...entry }, visibleValue);
      // Not with the console, to whose lines the runtime of Lambda adds its own text.
      process.stdout.write(`${line}\n`);
    };
  return { info: writer('INFO'), warn: writer('WARN'), error: writer('ERROR') };
}

function visibleValue(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? visibleLines(value) : value;
}

/** The trace of the invocation. Undefined: there is none, as on your machine. */
function traceId(): string | undefined {
  return /Root=([^;]+)/.exec(process.env._X_AMZN_TRACE_ID ?? '')?.[1];
}
