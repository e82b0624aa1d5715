import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PACKAGE_ROOT, RUNS_FROM_SOURCE } from './package-files.ts';

const OWN_CODE = join(PACKAGE_ROOT, RUNS_FROM_SOURCE ? 'lib' : 'dist');
const OWN_PLACES = [`${OWN_CODE}/`, `${pathToFileURL(OWN_CODE).href}/`];

/**
 * Removes the places in this package, and in Node.js, from the stack of an error: it begins at the line of the user's app that
 * is wrong.
 */
export function hideOwnFrames(error: Error): void {
  const lines = (error.stack ?? '').split('\n');
  error.stack = lines.filter((line) => !/^ {4}at /.test(line) || !isOwn(line)).join('\n');
}

function isOwn(frame: string): boolean {
  return /\bnode:/.test(frame) || OWN_PLACES.some((place) => frame.includes(place));
}
