/** The Lambda functions of the workflow. Each has a folder of this name in `lambdas/`. */
export const FUNCTIONS = [
  'preflight',
  'check-sessions',
  'run-migrations',
  'check-migrations',
  'plan-builds',
  'build-index',
  'check-index',
  'settle-index',
  'report',
] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** File of each function: its bundled code, with the handler `index.handler`. */
export const CODE_FILE = 'index.mjs';

/** File beside the code of each function: the licences of the packages in it. */
export const LICENCES_FILE = 'THIRD-PARTY-LICENCES.txt';
