import { plain } from '../terminal/styled-text.ts';

/**
 * Kind of a progress line: `heading` a phase begins; `step` work begins or continues; `done` work succeeded;
 * `warning` an attempt failed or needs attention; `failure` work failed for good.
 */
export type LineKind = 'heading' | 'step' | 'done' | 'warning' | 'failure';

/** One line of progress, without colour. */
export interface ProgressLine {
  readonly kind: LineKind;
  readonly text: string;
  /** The picture of a terminal omits the line, because earlier ones show enough failures. @default false */
  readonly logOnly?: boolean;
}

export const line = (kind: LineKind, text: string, logOnly = false): ProgressLine => ({
  ...{ kind, text: plain(text) },
  ...(logOnly && { logOnly }),
});
