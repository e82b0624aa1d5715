import { clock } from '../../../lambdas/shared/human-units.ts';
import { counted } from '../../../lambdas/shared/text.ts';
import { type Piece, row, type Style } from '../terminal/styled-text.ts';
import { laneRows, laneSummary } from './frame-lanes.ts';
import type { Phase } from './phases.ts';
import type { RunProgress } from './run-progress.ts';
import type { ServiceProgress } from './service-progress.ts';

interface FrameOptions {
  /** Columns; no line is longer. */
  readonly width: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Maximum number of lines. @default 24 */
  readonly height?: number;
  /** @default false */
  readonly colour?: boolean;
}

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const SPINNER_MS = 100;
const TITLE_COLUMNS = 22;

/** Draws the picture of a run for a terminal: its phases, with the lanes below the phase that builds. */
export function frame(run: RunProgress, options: FrameOptions): string {
  const { width, now, height = 24, colour = false } = options;
  const draw = (left: readonly Piece[], right = '') => row(width, colour, left, right);
  const spinner = SPINNER[Math.floor(now / SPINNER_MS) % SPINNER.length] ?? '';
  const began = run.startedAt ?? now;
  const title = run.name === '' ? 'Starting' : run.name;
  const lines = [draw([[title, 'bold'], outcomeOf(run)], clock((run.endedAt ?? now) - began))];
  // The phases always fit; the lanes get the lines that are left.
  const room = height - 1 - run.phases.all.length;
  for (const phase of run.phases.all) {
    const [mark, style] = markOf(phase, spinner);
    const elapsed = phase.startedAt === null ? '' : clock((phase.endedAt ?? now) - phase.startedAt);
    const named: Piece = [phase.title.padEnd(TITLE_COLUMNS), phase.state === 'running' ? 'bold' : style];
    lines.push(draw([[`${mark} `, style], named, resultOf(run, phase)], elapsed));
    if (phase.state === 'running' && (phase.key === 'build' || phase.key === 'online')) {
      lines.push(...laneRows(run.builds[phase.key], { width, now, room, spinner, draw }));
    }
  }
  return lines.slice(0, height).join('\n');
}

function outcomeOf(run: RunProgress): Piece {
  if (run.outcome === null) return '';
  return [` ${run.outcome}`, run.outcome === 'succeeded' ? 'green' : 'red'];
}

function markOf(phase: Phase, spinner: string): [mark: string, style: Style] {
  switch (phase.state) {
    case 'running':
      return [spinner, 'cyan'];
    case 'done':
      return ['✔', 'green'];
    case 'failed':
      return ['✖', 'red'];
    case 'skipped':
      return ['–', 'dim'];
    case 'pending':
      return ['·', 'dim'];
  }
}

function resultOf(run: RunProgress, phase: Phase): string {
  if (phase.startedAt === null) return '';
  switch (phase.key) {
    case 'stop':
    case 'start':
      return run.services.all.map((service) => serviceText(service, phase)).join(', ');
    case 'build':
    case 'online':
      return laneSummary(run.builds[phase.key]);
    default:
      return phase.result;
  }
}

function serviceText(service: ServiceProgress, phase: Phase): string {
  const count = service.count === null ? '' : ` ${counted(service.count, 'task')}`;
  // A service that starts had stopped before.
  if (phase.key === 'stop' && ['starting', 'steady', 'not-steady'].includes(service.state)) {
    return `${service.name} stopped`;
  }
  switch (service.state) {
    case 'stopping': {
      const left = service.running ?? service.count;
      return `${service.name} stopping${left === null ? '' : `, ${left} left`}`;
    }
    case 'stopped':
      return `${service.name} stopped`;
    case 'starting':
      return `${service.name} starting${count === '' ? '' : `, ${service.running ?? 0} of${count}`}`;
    case 'steady':
      return `${service.name} steady${count === '' ? '' : ` with${count}`}`;
    default:
      return `${service.name} ${service.state.replaceAll('-', ' ')}`;
  }
}
