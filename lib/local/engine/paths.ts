import { INTRINSIC_FUNCTIONS } from './intrinsics.ts';

/**
 * Turns $$.Execution into $$.RootExecution: inside Map and Parallel the library lets the former stand for the iteration.
 * @throws Error for what the library has not, or gets wrong
 */
export function rewritePaths(value: unknown, state: string, key = ''): unknown {
  if (Array.isArray(value)) return value.map((entry) => rewritePaths(entry, state));
  if (typeof value === 'object' && value !== null) {
    // The states inside are prepared by themselves.
    const entries = Object.entries(value).map(([name, inner]) =>
      ['ItemProcessor', 'Iterator', 'Branches'].includes(name)
        ? [name, inner]
        : [name, rewritePaths(inner, state, name)],
    );
    return Object.fromEntries(entries);
  }
  const isPath = key.endsWith('.$') || key === 'Variable' || (key.endsWith('Path') && key !== 'ResultPath');
  if (typeof value !== 'string' || !isPath) return value;
  for (const [name] of value.startsWith('$') ? [] : value.matchAll(/\bStates\.\w+(?=\()/g)) {
    if (INTRINSIC_FUNCTIONS.includes(name)) continue;
    throw new Error(
      `The state "${state}" calls ${name}, which the local engine has not. It has ${INTRINSIC_FUNCTIONS.join(', ')}.`,
    );
  }
  const missing = /\$\$\.(Task\b[\w.]*|State\.(?!EnteredTime\b)\w+)/.exec(value);
  if (missing !== null)
    throw new Error(`The state "${state}" uses ${missing[0]}, which the local engine has not.`);
  return value.replace(/\$\$\.Execution\b/g, () => '$$.RootExecution');
}
