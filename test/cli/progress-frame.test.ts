import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { applyBuildRows } from '../../lib/cli/progress/build-rows.ts';
import { frame } from '../../lib/cli/progress/frame.ts';
import { widthOf } from '../../lib/cli/terminal/styled-text.ts';
import { BUILD_INDEXES, DEPLOY, ECS, RULE, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { registryOf, Story, second } from './progress-story.ts';

const WIDTHS = [20, 40, 60, 80, 120, 200];

/** Four active lanes in different states, one finished lane and one waiting lane. */
function busy(): Story {
  const story = new Story(registryOf('a.x', 'a.y', 'b.x', 'c.x', 'd.x', 'e.x', 'f.x'));
  story.start();
  story.decide('deploy');
  story.plan([
    { table: 'a', indexes: ['idx_a_x', 'idx_a_y'] },
    ...['b', 'c', 'd', 'e', 'f'].map((table) => ({ table, indexes: [`idx_${table}_x`] })),
  ]);
  for (const name of ['idx_a_x', 'idx_b_x', 'idx_c_x', 'idx_d_x', 'idx_e_x']) story.begin(name);
  story.exit('idx_a_x', 'built');
  story.begin('idx_a_y');
  story.fail(
    'idx_b_x',
    'LockNotAvailable',
    'Could not acquire the lock on table b. Blocked by pid 7 (psql, idle).',
  );
  story.fail('idx_c_x', 'BuildFailed', 'column "x" does not exist');
  story.catchError('idx_c_x');
  story.exit('idx_d_x', 'present');
  const row = {
    pid: 1,
    schema: 'public',
    phase: 'building index: scanning table',
    fraction: 0.5,
    waitsFor: null,
  };
  applyBuildRows(
    story.run,
    [
      { ...row, table: 'a', index: 'idx_a_y' },
      {
        ...row,
        table: 'e',
        index: null,
        phase: 'waiting for old snapshots',
        fraction: null,
        waitsFor: 'pid 9 (job)',
      },
    ],
    second(0),
  );
  return story;
}

const draw = (story: Story, options: { width?: number; height?: number; colour?: boolean } = {}) =>
  frame(story.run, { width: 100, now: second(4.2), ...options }).split('\n');

describe('the picture', () => {
  test('shows the phases with their marks, counts and times', () => {
    const lines = draw(busy());
    expect(lines[0]).toMatch(/^d +4\.2 s$/);
    expect(lines[1]).toMatch(/^✔ Preflight +deploy +0\.0 s$/);
    expect(lines.find((line) => line.includes('Build indexes'))).toMatch(
      /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Build indexes +2 of 7 done +4\.2 s$/,
    );
    expect(lines.find((line) => line.includes('Start services'))).toMatch(/^· /);
  });

  test('shows a lane for each active table, with bar, phase and percentage of the current build', () => {
    const lines = draw(busy());
    const lane = lines.findIndex((line) => line.startsWith('  a 1 of 2 ✔'));
    expect(lines[lane + 1]).toMatch(/^ {4}idx_a_y +█{10}░{10} {2}50 % scanning table +4\.2 s$/);
  });

  test('shows the attempt, the error and the blocking session of an index that waits for its retry', () => {
    const lines = draw(busy());
    const lane = lines.indexOf('  b 0 of 1 ↻');
    expect(lines[lane + 1]).toMatch(/idx_b_x +attempt 1 failed, retrying soon +4\.2 s$/);
    expect(lines[lane + 2]).toContain('LockNotAvailable: Could not acquire the lock on table b.');
    expect(lines[lane + 2]).toContain('Blocked by pid 7 (psql, idle).');
  });

  test('shows an index that failed for good, and the session that a build waits for', () => {
    const text = draw(busy()).join('\n');
    expect(text).toContain('attempt 1 failed, removing what it left behind');
    expect(text).toContain('waits for pid 9 (job)');
  });

  test('counts finished and waiting lanes in one line each', () => {
    const lines = draw(busy());
    expect(lines).toContain('  1 table done: d');
    expect(lines).toContain('  1 table waiting: f');
  });

  test.each(WIDTHS)('is never wider than %i columns, with colour or without', (width) => {
    for (const colour of [false, true]) {
      for (const line of draw(busy(), { width, colour })) {
        expect(widthOf(stripVTControlCharacters(line))).toBeLessThanOrEqual(width);
      }
    }
  });

  test.each([4, 8, 12, 16, 24])('is never higher than %i lines', (height) => {
    expect(draw(busy(), { height }).length).toBeLessThanOrEqual(height);
  });

  test('shows all phases when forty tables are active, and counts the tables that do not fit', () => {
    const tables = Array.from({ length: 40 }, (_, number) => `t${number}`);
    const story = new Story(registryOf(...tables.map((table) => `${table}.x`)));
    story.start();
    story.decide('deploy');
    story.plan(tables.map((table) => ({ table, indexes: [`idx_${table}_x`] })));
    for (const table of tables) story.begin(`idx_${table}_x`);
    const lines = draw(story, { height: 24 });
    expect(lines).toHaveLength(24);
    expect(lines.at(-1)).toMatch(/^· Report/);
    expect(lines.find((line) => line.includes('in progress'))).toBe('  and 32 more tables in progress');
  });

  test('hides the lanes when the builds have ended', () => {
    const story = busy();
    story.emit('maintenanceWindow', 'StateExited', WINDOW.buildIndexes);
    expect(draw(story).some((line) => line.includes('idx_'))).toBe(false);
  });

  test('counts the indexes that no longer fit into the window', () => {
    const story = busy();
    story.exit('idx_a_y', 'building', BUILD_INDEXES.checkIndex, 'left');
    story.emit('maintenanceWindow', 'StateExited', WINDOW.buildIndexes);
    expect(draw(story).join('\n')).toContain('2 of 7 done, 1 to build after the start');
  });

  test('shows task counts for ECS services only', () => {
    const story = new Story(registryOf('a.x'));
    const output = { savedState: { value: { current: { desiredCount: 2 } } }, tasks: { onRevision: [1] } };
    story.start();
    story.emit('deploy', 'StateEntered', DEPLOY.startServices);
    story.startEvent('StateEntered', ECS.start, 'api');
    story.startEvent('StateExited', ECS.checkStarting, 'api', output);
    story.startEvent('StateEntered', RULE.enable, 'nightly');
    expect(draw(story).join('\n')).toContain('api starting, 1 of 2 tasks, nightly starting');
    story.startEvent('StateExited', START_SERVICES.steady, 'api', output);
    story.startEvent('StateExited', START_SERVICES.steady, 'nightly', {});
    expect(draw(story).join('\n')).toContain('api steady with 2 tasks, nightly steady');
  });

  test('shows the outcome and stops the clock at the end', () => {
    const story = busy();
    story.now = 3;
    story.emit('deploy', 'ExecutionFailed', null);
    expect(draw(story)[0]).toMatch(/^d failed +3\.0 s$/);
  });

  test('has colours only when the caller asks for them', () => {
    const controls = String.fromCharCode(27);
    expect(draw(busy()).join('')).not.toContain(controls);
    expect(draw(busy(), { colour: true }).join('')).toContain(controls);
  });
});

test('a message with line ends and control characters stays on its line', () => {
  const story = busy();
  story.fail('idx_e_x', 'Deadlock', `one\ntwo ${String.fromCharCode(27)}[2Jthree`);
  expect(story.texts.at(-1)).toContain('Deadlock: one two \\u001b[2Jthree');
});
