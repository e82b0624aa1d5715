/** The newest and the oldest supported major version. */
export const MAJORS = [18, 14] as const;
export type Major = (typeof MAJORS)[number];
