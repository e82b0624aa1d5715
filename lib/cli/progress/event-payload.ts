import { describeCaught } from '../../../lambdas/shared/caught-error.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { plain } from '../terminal/styled-text.ts';

/** Reads a nested field of a state's input or output. Undefined: the field does not exist. */
export function at(value: unknown, ...path: string[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found;
}

export const textAt = (value: unknown, ...path: string[]): string => {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
};

export const numberAt = (value: unknown, ...path: string[]): number | null => {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : null;
};

export const listAt = (value: unknown, ...path: string[]): readonly unknown[] => {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
};

/** The error of a StateFailed or ExecutionFailed event: its name, and the message inside its JSON Cause. */
export function errorOf(event: EngineEvent): { name: string; message: string } {
  const name = event.error ?? 'Error';
  const described = plain(describeCaught({ Error: name, Cause: event.cause ?? null }));
  const message = described.startsWith(`${name}: `) ? described.slice(name.length + 2) : described;
  return { name, message };
}
