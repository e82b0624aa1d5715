import { createLogUpdate } from 'log-update';
import { barOf } from '../terminal/styled-text.ts';

const DRAW_EVERY_MS = 80;
const BAR_COLUMNS = 30;
/** Fewer files are linted before anyone could see a bar. */
const LEAST_FILES = 200;

export interface LintProgressBar {
  readonly onProgress: (done: number, total: number) => void;
  /** Removes the bar. */
  readonly close: () => void;
}

/** Draws a progress bar in a terminal. Draws nothing elsewhere, nor in CI. */
export function lintProgressBar(stream: NodeJS.WriteStream): LintProgressBar {
  if (stream.isTTY !== true || process.env.CI !== undefined || process.env.TERM === 'dumb')
    return { onProgress: () => {}, close: () => {} };
  const draw = createLogUpdate(stream);
  let drawnAt = 0;
  return {
    onProgress(done, total) {
      const now = Date.now();
      if (total < LEAST_FILES || now - drawnAt < DRAW_EVERY_MS) return;
      drawnAt = now;
      draw(`Linting migrations ${barOf(done / total, BAR_COLUMNS)} ${done} of ${total}`);
    },
    close: () => draw.clear(),
  };
}
