import type { $ZodRawIssue } from 'zod/v4/core';

/**
 * The messages of the schemas of the functions. They are those of zod's own English locale, without the ones for formats and types
 * that no schema here has: that locale alone has 2.7 KB in each bundle.
 */
export function schemaMessage(issue: $ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `Invalid input: expected ${issue.expected}, received ${typeOf(issue.input)}`;
    case 'invalid_value':
      return `Invalid option: expected one of ${issue.values.map((value) => JSON.stringify(value)).join('|')}`;
    case 'too_small':
      return `Too small: expected ${issue.origin} to ${sizeOf(issue.origin, '>=', issue.minimum)}`;
    case 'too_big':
      return `Too big: expected ${issue.origin} to ${sizeOf(issue.origin, '<=', issue.maximum)}`;
    case 'unrecognized_keys':
      return `Unrecognized key${issue.keys.length > 1 ? 's' : ''}: ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`;
    case 'invalid_format':
      return `Invalid string: must have the format ${issue.format}`;
    default:
      return 'Invalid input';
  }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' items' };

function sizeOf(origin: string, sign: string, limit: number | bigint): string {
  return `${UNITS[origin] === undefined ? 'be' : 'have'} ${sign}${limit}${UNITS[origin] ?? ''}`;
}
