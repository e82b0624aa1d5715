import { createLogUpdate } from 'log-update';
import { barOf } from './progress/text.ts';

const DRAW_EVERY_MS = 80;
const BAR_COLUMNS = 30;
/** A bar for fewer would be gone before it was seen. */
const WORTH_A_BAR = 200;

export interface LintProgress {
  readonly onProgress: (done: number, total: number) => void;
  /** Takes the bar away. */
  readonly close: () => void;
}

/** A bar on a terminal; elsewhere nothing. */
export function lintProgress(stream: NodeJS.WriteStream): LintProgress {
  if (stream.isTTY !== true || process.env.CI !== undefined || process.env.TERM === 'dumb')
    return { onProgress: () => {}, close: () => {} };
  const draw = createLogUpdate(stream);
  let drawnAt = 0;
  return {
    onProgress(done, total) {
      const now = Date.now();
      if (total < WORTH_A_BAR || now - drawnAt < DRAW_EVERY_MS) return;
      drawnAt = now;
      draw(`Linting migrations ${barOf(done / total, BAR_COLUMNS)} ${done} of ${total}`);
    },
    close: () => draw.clear(),
  };
}
