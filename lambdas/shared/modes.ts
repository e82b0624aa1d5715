/** What an execution of `deploy` does. */
export const MODES = ['deploy', 'indexes', 'plan', 'start-services'] as const;
export type Mode = (typeof MODES)[number];
