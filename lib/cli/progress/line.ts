/**
 * What a line tells: `heading` a phase begins; `step` something begins or goes on; `done` something ended well;
 * `warning` an attempt failed or something is amiss; `failure` something is given up.
 */
export type LineKind = 'heading' | 'step' | 'done' | 'warning' | 'failure';

/** One line for people about what just happened, without colour. */
export interface ProgressLine {
  readonly kind: LineKind;
  readonly text: string;
}

export const line = (kind: LineKind, text: string): ProgressLine => ({ kind, text: plain(text) });

/** Server messages may hold line ends and control characters, which must not reach a terminal. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
}
