import { createLogUpdate } from 'log-update';
import type { CompiledRegistry } from '../../../lambdas/shared/registry.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import type { BuildRow } from '../../local/watch-builds.ts';
import type { MachineNames } from '../../config/machine-names.ts';
import { frame } from './frame.ts';
import { type LineKind, type ProgressLine, plain } from './line.ts';
import { RunProgress } from './model.ts';
import { paint, type Style, takesColour, wrap } from './text.ts';

export interface ProgressViewOptions {
  /** Where people look; in CI a file. */
  readonly stream: NodeJS.WritableStream & { columns?: number; rows?: number };
  readonly registry: CompiledRegistry;
  readonly machines: MachineNames;
  /** True: a picture that is drawn again and again, for a terminal. False: plain lines. */
  readonly interactive: boolean;
  /** Looks at the running builds: see watchBuilds. @default phases and bars stay empty */
  readonly readBuilds?: () => Promise<BuildRow[]>;
}

export interface ProgressView {
  /** Takes an event of the engine. */
  onEvent(event: EngineEvent): void;
  /** Tells people something that is no event of the workflow. */
  note(text: string): void;
  /** Draws the last picture and leaves it there. Later events are not shown. */
  close(): Promise<void>;
}

/** Of one message, which a server may have made long. */
const KEPT_LINES = 8;

const DRAW_EVERY_MS = 100;
const READ_EVERY_MS = 250;
/** Without a picture only the lines of long builds come of it. */
const READ_SELDOM_MS = 2_000;

/** Marks of lines that stay above the picture; the others are seen in the picture itself. */
const MARKS: Partial<Record<LineKind, readonly [mark: string, style: Style]>> = {
  done: ['✔', 'green'],
  warning: ['▲', 'yellow'],
  failure: ['✖', 'red'],
};

/** Shows a run while it goes on: draws a picture in a terminal, writes plain lines where there is none. */
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
        if (!closed) screen.tell(run.updateBuilds(rows));
      })
      // A picture without phases and bars is better than none.
      .catch(() => undefined)
      .finally(() => {
        reading = undefined;
      });
  };
  const timer = setInterval(read, interactive ? READ_EVERY_MS : READ_SELDOM_MS);
  timer.unref();
  return {
    onEvent(event) {
      if (!closed) screen.tell(run.apply(event));
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
  tell(lines: readonly ProgressLine[]): void;
  note(text: string): void;
  end(): void;
}

/** Plain lines: headings at the edge, all else below them. */
function createLog(stream: NodeJS.WritableStream): Screen {
  const write = (text: string) => stream.write(`${text}\n`);
  return {
    tell(lines) {
      for (const { kind, text } of lines) write(kind === 'heading' ? text : `  ${text}`);
    },
    note: write,
    end: () => undefined,
  };
}

/** The picture, with the lines that matter kept above it. */
function createScreen(stream: ProgressViewOptions['stream'], run: RunProgress): Screen {
  const colour = takesColour(stream);
  const update = createLogUpdate(stream);
  let ended = false;
  const columns = () => stream.columns ?? 80;
  const draw = () => {
    // Two rows are the empty line's and the cursor's; a picture as high as the screen would scroll.
    const height = Math.max(4, (stream.rows ?? 24) - 2);
    // The empty line parts it from what is kept above.
    update(`\n${frame(run, { width: columns(), now: Date.now(), height, colour })}`);
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
    tell(lines) {
      const kept = lines.flatMap(({ kind, text }) => {
        const [mark, style] = MARKS[kind] ?? [];
        if (mark === undefined || style === undefined) return [];
        const [first = '', ...rest] = wrap(text, columns() - 2, KEPT_LINES);
        return [`${paint(mark, style, colour)} ${first}`, ...rest.map((more) => `  ${more}`)];
      });
      persist(kept);
    },
    note: (text) => persist(wrap(plain(text), columns(), KEPT_LINES)),
    end() {
      clearInterval(timer);
      draw();
      update.done();
      ended = true;
    },
  };
}
