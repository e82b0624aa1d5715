import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createProgressView } from '../../lib/cli/progress/progress-view.ts';
import type { BuildRow } from '../../lib/local/watch-builds.ts';
import { WINDOW } from '../../lib/workflow/state-names.ts';
import { eventually } from '../support/waits.ts';
import { machines, registryOf, Story } from './progress-story.ts';

class Memory extends Writable {
  text = '';
  columns = 80;
  rows = 24;
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
  get plain(): string {
    return stripVTControlCharacters(this.text);
  }
}

/** The lines that a full terminal shows after the output: it follows the cursor, which cannot move below the last line. */
function screenOf(output: string): string[] {
  const lines: string[] = [''];
  let [at, column] = [0, 0];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are controlled by them
  for (const [piece, count, command] of output.matchAll(/\x1b\[\??([\d;]*)([A-Za-z])|[^\x1b]/gu)) {
    const line = lines[at] ?? '';
    if (piece === '\n') [at, column] = [at + 1, 0];
    else if (command === undefined) {
      lines[at] = `${line.slice(0, column).padEnd(column)}${piece}${line.slice(column + piece.length)}`;
      column += piece.length;
    } else if (command === 'A') at -= Number(count || 1);
    else if (command === 'B') at = Math.min(at + Number(count || 1), lines.length - 1);
    else if (command === 'G') column = 0;
    else if (command === 'K') lines[at] = count === '2' ? '' : line.slice(0, column);
    lines[at] ??= '';
  }
  return lines.map((line) => line.trimEnd());
}

/** What the terminal shows, without times and empty lines. */
function shownIn(stream: Memory): string[] {
  const lines = screenOf(stream.text).map((line) => line.replace(/ in \d.*$| {2,}.*$/g, ''));
  return lines.filter((line) => line !== '');
}

function viewOf(interactive: boolean, readBuilds?: () => Promise<BuildRow[]>) {
  const stream = new Memory();
  const registry = registryOf('deals.a', 'deals.b');
  const view = createProgressView({
    stream,
    registry,
    machines,
    interactive,
    ...(readBuilds && { readBuilds }),
  });
  const story = new Story(registry, (event) => view.onEvent({ ...event, at: new Date().toISOString() }));
  return { stream, view, story };
}

function begin(story: Story): void {
  story.start();
  story.decide('deploy');
  story.plan([{ table: 'deals', indexes: ['idx_deals_a', 'idx_deals_b'] }]);
  story.begin('idx_deals_a');
}

const row: BuildRow = {
  ...{ pid: 1, schema: 'public', table: 'deals', index: 'idx_deals_a' },
  ...{ phase: 'building index: scanning table', fraction: 0.5, waitsFor: null },
};

describe('without a terminal', () => {
  test('the view writes plain lines with headings at the left edge and no escape codes', async () => {
    const { stream, view, story } = viewOf(false);
    view.note('Embedded PostgreSQL 18');
    begin(story);
    story.fail('idx_deals_a', 'Deadlock', 'the server ended it');
    await view.close();
    expect(stream.text).toBe(
      [
        'Embedded PostgreSQL 18',
        'Preflight',
        '  Decision: deploy, with the services stopped for the maintenance window',
        'Build indexes',
        '  2 indexes to build in 1 lane, 0 already present',
        '  [1/2] idx_deals_a on deals (non-critical): deals by a',
        '  [1/2] idx_deals_a attempt 1 failed: Deadlock: the server ended it',
        '',
      ].join('\n'),
    );
  });

  test('events after close() are not shown, and a second close() does nothing', async () => {
    const { stream, view, story } = viewOf(false);
    await view.close();
    begin(story);
    await view.close();
    expect(stream.text).toBe('');
  });
});

describe('in a terminal', () => {
  test('the view draws the picture with bars for the running builds', async () => {
    const { stream, view, story } = viewOf(true, async () => [row]);
    begin(story);
    await eventually(() => stream.plain).toMatch(/idx_deals_a +█{5}░{5} {2}50 % scanning table/);
    await view.close();
  });

  test('important lines stay above the picture, and the final picture stays', async () => {
    const { stream, view, story } = viewOf(true);
    begin(story);
    story.exit('idx_deals_a', 'built');
    story.begin('idx_deals_b');
    story.fail(
      'idx_deals_b',
      'LockNotAvailable',
      `Could not acquire the lock. ${'Blocked by pid 7. '.repeat(8)}`,
    );
    await view.close();
    expect(stream.plain).toContain('✔ [1/2] idx_deals_a created in ');
    expect(stream.plain).toContain(
      '▲ [2/2] idx_deals_b attempt 1 failed: LockNotAvailable: Could not acquire the',
    );
    expect(shownIn(stream).at(-1)).toBe('· Report');
  });

  test('no line is lost or shown twice when the picture grows and shrinks', async () => {
    const { stream, view, story } = viewOf(true);
    const shown = () => eventually(() => shownIn(stream));
    const running = () => eventually(() => screenOf(stream.text).join('\n'));
    const phases = ['✔ Preflight', '– Stop services', '– Run migrations'];
    story.start();
    story.decide('deploy');
    story.plan([
      { table: 'deals', indexes: ['idx_deals_a'] },
      { table: 'users', indexes: ['idx_users_a'] },
    ]);
    await shown().toContain('· Report');
    story.begin('idx_deals_a');
    await running().toContain('idx_deals_a');
    story.begin('idx_users_a');
    await running().toContain('idx_users_a');
    expect(shownIn(stream).slice(-2)).toEqual(['· Start services', '· Report']);
    story.exit('idx_deals_a', 'built');
    story.exit('idx_users_a', 'built');
    await shown().toContain('✔ [2/2] idx_users_a created');
    story.emit('maintenanceWindow', 'StateExited', WINDOW.buildIndexes);
    await view.close();
    await shown().toEqual([
      '✔ [1/2] idx_deals_a created',
      '✔ [2/2] idx_users_a created',
      ...['d', ...phases, '✔ Build indexes', '· Start services', '· Report'],
    ]);
  });

  test('a failed read of the builds does not end the view', async () => {
    let reads = 0;
    const { stream, view, story } = viewOf(true, async () => {
      reads += 1;
      throw new Error('no connection');
    });
    begin(story);
    await eventually(() => reads).toBeGreaterThan(1);
    await view.close();
    expect(stream.plain).toContain('idx_deals_a');
  });

  test('the view does not read the database while nothing is built', async () => {
    let reads = 0;
    const { view, story } = viewOf(true, async () => {
      reads += 1;
      return [];
    });
    story.start();
    await pause(1_200);
    await view.close();
    expect(reads).toBe(0);
  });
});
