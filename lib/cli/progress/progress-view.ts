import { createLogUpdate } from 'log-update';
import type { CompiledRegistry } from '../../../lambdas/shared/registry.ts';
import type { MachineNames } from '../../config/resource-names.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import type { BuildRow } from '../../local/watch-builds.ts';
import { paint, plain, type Style, takesColour, wrap } from '../terminal/styled-text.ts';
import { terminalText } from '../terminal/terminal-text.ts';
import { applyEvent } from './apply-event.ts';
import { applyLogLine } from './batch-log.ts';
import { applyBuildRows } from './build-rows.ts';
import { frame } from './frame.ts';
import type { LineKind, ProgressLine } from './progress-line.ts';
import { RunProgress } from './run-progress.ts';

interface ProgressViewOptions {
  /** The terminal, or a file in CI. */
  readonly stream: NodeJS.WritableStream & { columns?: number; rows?: number };
  readonly registry: CompiledRegistry;
  readonly machines: MachineNames;
  /** True: a picture that is redrawn in place, for a terminal. False: plain lines. */
  readonly interactive: boolean;
  /** Reads the running builds from the database: see watchBuilds. @default no build phases and no bars */
  readonly readBuilds?: () => Promise<BuildRow[]>;
}

export interface ProgressView {
  /** Shows an event of the engine. */
  onEvent(event: EngineEvent): void;
  /** Shows what a line of a function's log says about the progress of a batch. */
  onLog(text: string): void;
  /** Shows a message that does not come from the workflow. */
  note(text: string): void;
  /** Draws the final picture, which stays. Later events are not shown. */
  close(): Promise<void>;
}

/** Maximum lines for one message, because server messages can be long. */
const MESSAGE_LINES = 8;

const DRAW_EVERY_MS = 100;
const READ_EVERY_MS = 250;
/** Plain lines show only long builds, so fewer reads are enough. */
const READ_PLAIN_MS = 2_000;

/** Marks of the lines that stay above the picture. The picture itself shows the other kinds. */
const MARKS: Partial<Record<LineKind, readonly [mark: string, style: Style]>> = {
  done: ['✔', 'green'],
  warning: ['▲', 'yellow'],
  failure: ['✖', 'red'],
};

/** Shows the progress of a run: as a picture in a terminal, as plain lines elsewhere. */
export function createProgressView(options: ProgressViewOptions): ProgressView {
  const { stream, registry, machines, interactive, readBuilds } = options;
  const run = new RunProgress(machines, registry);
  const screen = interactive ? createScreen(stream, run) : createLog(stream);
  let closed = false;
  let reading: Promise<void> | undefined;

  const read = () => {
    if (readBuilds === undefined || run.builds[run.buildPhase].count('building') === 0) return;
    reading ??= readBuilds()
      .then((rows) => {
        if (!closed) screen.show(applyBuildRows(run, rows));
      })
      // The picture works without build phases and bars.
      .catch(() => undefined)
      .finally(() => {
        reading = undefined;
      });
  };
  const timer = setInterval(read, interactive ? READ_EVERY_MS : READ_PLAIN_MS);
  timer.unref();
  return {
    onEvent(event) {
      if (!closed) screen.show(applyEvent(run, event));
    },
    onLog(text) {
      if (!closed) screen.show(applyLogLine(run, text));
    },
    note(text) {
      screen.note(text);
    },
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      await reading;
      screen.end();
    },
  };
}

interface Screen {
  show(lines: readonly ProgressLine[]): void;
  note(text: string): void;
  end(): void;
}

/** Plain lines: headings at the left edge, the other lines indented. */
function createLog(stream: NodeJS.WritableStream): Screen {
  const write = (text: string) => stream.write(`${terminalText(text)}\n`);
  return {
    show(lines) {
      for (const { kind, text } of lines) write(kind === 'heading' ? text : `  ${text}`);
    },
    note: (text) => write(plain(text)),
    end: () => undefined,
  };
}

/** The picture, with important lines kept above it. */
function createScreen(stream: ProgressViewOptions['stream'], run: RunProgress): Screen {
  const colour = takesColour(stream);
  const update = createLogUpdate(stream);
  let ended = false;
  let drawnLines = 0;
  const columns = () => stream.columns ?? 80;
  const draw = () => {
    // Two rows remain for the empty line and the cursor: a picture as high as the screen would scroll.
    const height = Math.max(4, (stream.rows ?? 24) - 2);
    const picture = frame(run, { width: columns(), now: Date.now(), height, colour });
    // log-update rewrites changed lines only, and misplaces the lines below when their number changes.
    const lineCount = picture.split('\n').length;
    if (lineCount !== drawnLines) update.clear();
    drawnLines = lineCount;
    // An empty line separates the picture from the lines above.
    update(`\n${picture}`);
  };
  const persist = (texts: readonly string[]) => {
    if (texts.length === 0) return;
    if (ended) {
      stream.write(`${texts.join('\n')}\n`);
      return;
    }
    update.persist(texts.join('\n'));
    draw();
  };
  const timer = setInterval(draw, DRAW_EVERY_MS);
  timer.unref();
  draw();
  return {
    show(lines) {
      const kept = lines.flatMap(({ kind, text, logOnly }) => {
        const [mark, style] = MARKS[kind] ?? [];
        if (mark === undefined || style === undefined || logOnly) return [];
        const [first = '', ...rest] = wrap(text, columns() - 2, MESSAGE_LINES);
        return [`${paint(mark, style, colour)} ${first}`, ...rest.map((more) => `  ${more}`)];
      });
      persist(kept);
    },
    note: (text) => persist(wrap(plain(text), columns(), MESSAGE_LINES)),
    end() {
      clearInterval(timer);
      draw();
      update.done();
      ended = true;
    },
  };
}
