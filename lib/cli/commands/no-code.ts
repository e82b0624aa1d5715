/** What --no-code does, for the help of each command that has it. */
export const NO_CODE =
  'run no code of the project: read a registry from its text, and skip migrations that are code';
