import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { frame } from '../../lib/cli/progress/frame.ts';
import { widthOf } from '../../lib/cli/progress/text.ts';
import { registryOf, Story, second } from './progress-events.ts';

const WIDTHS = [20, 40, 60, 80, 120, 200];

/** Four lanes in four states, one done, one waiting. */
function busy(): Story {
  const story = new Story(registryOf('a.x', 'a.y', 'b.x', 'c.x', 'd.x', 'e.x', 'f.x'));
  story.start();
  story.decide('deploy');
  story.plan([
    { table: 'a', indexes: ['idx_a_x', 'idx_a_y'] },
    ...['b', 'c', 'd', 'e', 'f'].map((table) => ({ table, indexes: [`idx_${table}_x`] })),
  ]);
  for (const name of ['idx_a_x', 'idx_b_x', 'idx_c_x', 'idx_d_x', 'idx_e_x']) story.begin(name);
  story.answer('idx_a_x', 'built');
  story.begin('idx_a_y');
  story.fail(
    'idx_b_x',
    'LockNotAvailable',
    'Could not acquire the lock on table b. Blocked by pid 7 (psql, idle).',
  );
  story.fail('idx_c_x', 'BuildFailed', 'column "x" does not exist');
  story.giveUp('idx_c_x');
  story.answer('idx_d_x', 'present');
  const row = {
    pid: 1,
    schema: 'public',
    phase: 'building index: scanning table',
    fraction: 0.5,
    waitsFor: null,
  };
  story.run.updateBuilds(
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
    expect(lines[1]).toMatch(/^✔ Preflight +a deploy +0\.0 s$/);
    expect(lines.find((line) => line.includes('Build indexes'))).toMatch(
      /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Build indexes +2 of 7 done +4\.2 s$/,
    );
    expect(lines.find((line) => line.includes('Start services'))).toMatch(/^· /);
  });

  test('shows a lane for each table at work, with a bar, phase and percent for the index that is built', () => {
    const lines = draw(busy());
    const lane = lines.findIndex((line) => line.startsWith('  a 1 of 2 ✔'));
    expect(lines[lane + 1]).toMatch(/^ {4}idx_a_y +█{10}░{10} {2}50 % scanning table +4\.2 s$/);
  });

  test('shows an index that waits to be tried again with its attempt, error and who blocks', () => {
    const lines = draw(busy());
    const lane = lines.indexOf('  b 0 of 1 ↻');
    expect(lines[lane + 1]).toMatch(/idx_b_x +attempt 1 failed, it is tried again soon +4\.2 s$/);
    expect(lines[lane + 2]).toContain('LockNotAvailable: Could not acquire the lock on table b.');
    expect(lines[lane + 2]).toContain('Blocked by pid 7 (psql, idle).');
  });

  test('shows an index that is given up and whom a build waits for', () => {
    const text = draw(busy()).join('\n');
    expect(text).toContain('attempt 1 failed, what it left is removed');
    expect(text).toContain('waits for pid 9 (job)');
  });

  test('counts the lanes that are done and those that wait in a line each', () => {
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

  test('keeps all phases in sight where forty tables are at work, and says how many are not shown', () => {
    const tables = Array.from({ length: 40 }, (_, number) => `t${number}`);
    const story = new Story(registryOf(...tables.map((table) => `${table}.x`)));
    story.start();
    story.decide('deploy');
    story.plan(tables.map((table) => ({ table, indexes: [`idx_${table}_x`] })));
    for (const table of tables) story.begin(`idx_${table}_x`);
    const lines = draw(story, { height: 24 });
    expect(lines).toHaveLength(24);
    expect(lines.at(-1)).toMatch(/^· Report/);
    expect(lines.find((line) => line.includes('more at work'))).toBe('  and 32 tables more at work');
  });

  test('folds the lanes away when the builds are over', () => {
    const story = busy();
    story.tell('maintenanceWindow', 'StateExited', 'Build Indexes');
    expect(draw(story).some((line) => line.includes('idx_'))).toBe(false);
  });

  test('counts the indexes that the window has no time for', () => {
    const story = busy();
    story.answer('idx_a_y', 'building', 'Check Index', 'left');
    story.tell('maintenanceWindow', 'StateExited', 'Build Indexes');
    expect(draw(story).join('\n')).toContain('2 of 7 done, 1 left for after the start');
  });

  test('shows tasks of the services that have any, and no tasks of rules', () => {
    const story = new Story(registryOf('a.x'));
    const output = { memory: { value: { current: { desiredCount: 2 } } }, counts: { running: 1 } };
    story.start();
    story.tell('deploy', 'StateEntered', 'Start Services');
    story.service('startServices', 'StateEntered', 'Start Tasks', 'api');
    story.service('startServices', 'StateExited', 'Check Starting Tasks', 'api', output);
    story.service('startServices', 'StateEntered', 'Enable Rule', 'nightly');
    expect(draw(story).join('\n')).toContain('api starts, 1 of 2 tasks, nightly starts');
    story.service('startServices', 'StateExited', 'Service Steady', 'api', output);
    story.service('startServices', 'StateExited', 'Service Steady', 'nightly', {});
    expect(draw(story).join('\n')).toContain('api steady at 2 tasks, nightly steady');
  });

  test('names the outcome and stops the clock at the end', () => {
    const story = busy();
    story.now = 3;
    story.tell('deploy', 'ExecutionFailed', null);
    expect(draw(story)[0]).toMatch(/^d failed +3\.0 s$/);
  });

  test('has colours only where they are asked for', () => {
    const controls = String.fromCharCode(27);
    expect(draw(busy()).join('')).not.toContain(controls);
    expect(draw(busy(), { colour: true }).join('')).toContain(controls);
  });
});

test('a message with line ends and control characters stays on its line', () => {
  const story = busy();
  story.fail('idx_e_x', 'Deadlock', `one\ntwo ${String.fromCharCode(27)}[2Jthree`);
  expect(story.texts.at(-1)).toContain('Deadlock: one two [2Jthree');
});
