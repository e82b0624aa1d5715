import { clock } from '../../../lambdas/shared/human-units.ts';
import { counted } from '../../../lambdas/shared/text.ts';
import { barOf, cut, fillTo, type Piece, type Style, widthOf, wrap } from '../terminal/styled-text.ts';
import type { Builds, IndexProgress, LaneProgress } from './build-progress.ts';

/** Where the lanes are drawn. */
interface Canvas {
  readonly width: number;
  readonly now: number;
  /** Lines available for the lanes. */
  readonly room: number;
  readonly spinner: string;
  readonly draw: (left: readonly Piece[], right?: string) => string;
}

const MARKS = { waiting: '·', retrying: '↻', settling: '✖', left: '–', done: '✔', failed: '✖' };
const STYLES: Record<IndexProgress['state'], Style> = {
  waiting: 'dim',
  building: 'cyan',
  retrying: 'yellow',
  settling: 'red',
  left: 'dim',
  done: 'green',
  failed: 'red',
};

/** Terminals with fewer columns get bars of half the length. */
const NARROW_COLUMNS = 90;
const BAR_COLUMNS = 20;
const ERROR_LINES = 3;

/** Totals of the builds of a phase. */
export function laneSummary(builds: Builds): string {
  const ofBatches = builds.batches.summary;
  if (builds.total === 0) return ofBatches;
  const failed = builds.count('failed');
  const left = builds.count('left');
  return (
    `${ofBatches === '' ? '' : `${ofBatches}; `}${builds.count('done')} of ${builds.total} done${failed > 0 ? `, ${failed} failed` : ''}` +
    `${left > 0 ? `, ${left} to build after the start` : ''}`
  );
}

/** The active lanes, each with its table and its current index. Finished and waiting lanes share a line each. */
export function laneRows(builds: Builds, canvas: Canvas): string[] {
  const active = builds.lanes.filter((lane) => isActive(lane));
  const waiting = builds.lanes.filter((lane) => !isActive(lane) && lane.indexes.some(isOpen));
  const finished = builds.lanes.filter((lane) => !lane.indexes.some(isOpen));
  const rest = [
    ...(finished.length > 0 ? [`${counted(finished.length, 'table')} done: ${tablesOf(finished)}`] : []),
    ...(waiting.length > 0 ? [`${counted(waiting.length, 'table')} waiting: ${tablesOf(waiting)}`] : []),
  ].map((text) => canvas.draw([[`  ${text}`, 'dim']]));
  // The longest name of all lanes, so that the bars keep their column when a lane ends.
  const names = Math.max(
    0,
    ...builds.lanes.flatMap((lane) => lane.indexes.map((index) => widthOf(index.id))),
  );
  const blocks = active.map((lane) => laneBlock(lane, Math.min(names, Math.floor(canvas.width / 3)), canvas));
  return [...fitting(blocks, canvas.room - rest.length, canvas), ...rest].slice(0, Math.max(0, canvas.room));
}

/** As many whole blocks as fit, and a line that counts the others. */
function fitting(blocks: readonly string[][], room: number, canvas: Canvas): string[] {
  if (blocks.flat().length <= room) return blocks.flat();
  const shown: string[] = [];
  let count = 0;
  for (const block of blocks) {
    if (shown.length + block.length > room - 1) break;
    shown.push(...block);
    count += 1;
  }
  return [
    ...shown,
    canvas.draw([[`  and ${counted(blocks.length - count, 'more table')} in progress`, 'dim']]),
  ];
}

function laneBlock(lane: LaneProgress, nameColumns: number, canvas: Canvas): string[] {
  const ended = lane.indexes.filter((index) => !isOpen(index)).length;
  const marks = lane.indexes.map((index): Piece => [markOf(index, canvas.spinner), styleOf(index)]);
  const head = canvas.draw([[`  ${lane.table} `, 'bold'], `${ended} of ${lane.indexes.length} `, ...marks]);
  const current = lane.indexes.filter((index) => ['building', 'retrying', 'settling'].includes(index.state));
  return [head, ...current.flatMap((index) => indexRows(index, nameColumns, canvas))];
}

function indexRows(index: IndexProgress, nameColumns: number, { now, width, draw }: Canvas): string[] {
  const elapsed = clock(now - (index.startedAt ?? now));
  const name = `    ${fillTo(index.id, nameColumns)}  `;
  const attempt = index.attempt > 1 ? ` attempt ${index.attempt}` : '';
  if (index.state === 'building') {
    const percent =
      index.fraction === null ? '     ' : `${String(Math.round(index.fraction * 100)).padStart(3)} %`;
    const first = draw(
      [
        name,
        [barOf(index.fraction, width < NARROW_COLUMNS ? BAR_COLUMNS / 2 : BAR_COLUMNS), 'cyan'],
        ` ${percent}`,
        ` ${phaseOf(index)}${attempt}`,
      ],
      elapsed,
    );
    if (index.waitsFor === null) return [first];
    return [first, draw([[`      waits for ${index.waitsFor}`, 'yellow']])];
  }
  const next = index.state === 'settling' ? 'removing what it left behind' : 'retrying soon';
  const error = index.error === null ? '' : `${index.error.name}: ${index.error.message}`;
  return [
    draw([name, [`attempt ${index.attempt} failed, ${next}`, 'yellow']], elapsed),
    ...wrap(error, Math.max(1, width - 6), ERROR_LINES).map((text) => draw([[`      ${text}`, 'yellow']])),
  ];
}

function phaseOf(index: IndexProgress): string {
  return index.phase === '' ? 'starting' : index.phase.replace(/^building index: /, '');
}

function isOpen(index: IndexProgress): boolean {
  return index.state !== 'done' && index.state !== 'failed' && index.state !== 'left';
}

/** A lane that has started and has not finished. It may be between two of its indexes. */
function isActive(lane: LaneProgress): boolean {
  return lane.indexes.some(isOpen) && lane.indexes.some((index) => index.state !== 'waiting');
}

function markOf(index: IndexProgress, spinner: string): string {
  return index.state === 'building' ? spinner : MARKS[index.state];
}

function styleOf(index: IndexProgress): Style {
  return STYLES[index.state];
}

function tablesOf(lanes: readonly LaneProgress[]): string {
  return cut(lanes.map((lane) => lane.table).join(', '), 500);
}
