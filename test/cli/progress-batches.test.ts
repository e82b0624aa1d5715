import { expect, test } from 'vitest';
import { BATCH_CONTINUES } from '../../lambdas/shared/build-payloads.ts';
import { applyLogLine } from '../../lib/cli/progress/batch-log.ts';
import { frame } from '../../lib/cli/progress/frame.ts';
import { BUILD_INDEXES, WINDOW } from '../../lib/workflow/state-names.ts';
import { Story, second } from './progress-story.ts';

/** A deploy that has entered a round of two batches. */
function twoBatches(): Story {
  const story = new Story([]);
  story.start();
  story.decide('deploy');
  story.emit('maintenanceWindow', 'StateEntered', WINDOW.buildIndexes);
  round(story);
  return story;
}

function round(story: Story): void {
  const batches = [
    { part: 0, of: 2, builds: 500 },
    { part: 1, of: 2, builds: 1_500 },
  ];
  story.emit('buildIndexes', 'StateEntered', BUILD_INDEXES.buildBatches, {
    stateType: 'Map',
    input: { batches },
  });
}

const lineOf = (part: number, fields: object = {}) =>
  JSON.stringify({
    ...{
      level: 'INFO',
      message: BATCH_CONTINUES,
      deploy: 'd',
      part,
      of: 2,
      builds: 500,
      built: 120,
      failed: 0,
    },
    ...fields,
  });

const log = (story: Story, text: string, at = story.now) =>
  applyLogLine(story.run, text, second(at)).map((one) => one.text);

const phase = (story: Story) =>
  frame(story.run, { width: 100, now: second(1) })
    .split('\n')
    .find((text) => text.includes('Build indexes'));

test('the picture counts the builds of all batches, and each batch makes a line from time to time', () => {
  const story = twoBatches();
  expect(phase(story)).toContain('0 of 2,000 small indexes built');

  expect(log(story, lineOf(0), 10)).toEqual([]);
  expect(log(story, lineOf(1, { builds: 1_500, built: 1_000, failed: 2 }), 11)).toEqual([]);

  expect(phase(story)).toContain('1,120 of 2,000 small indexes built, 2 failed');
  expect(log(story, lineOf(0, { built: 240 }), 31)).toEqual(['Batch 1 of 2: 240 of 500 built']);
  expect(log(story, lineOf(0, { built: 250 }), 40)).toEqual([]);
  expect(log(story, lineOf(0, { built: 360, failed: 1 }), 62)).toEqual([
    'Batch 1 of 2: 360 of 500 built, 1 failed',
  ]);
});

test('the end of a batch replaces its progress, and a later round adds to it', () => {
  const story = twoBatches();
  log(story, lineOf(0));
  const within = [{ state: BUILD_INDEXES.buildBatches, index: 0 }];
  for (const [part, built] of [400, 1_500].entries())
    story.emit('buildIndexes', 'StateExited', BUILD_INDEXES.buildBatch, {
      within,
      output: { part, of: 2, built, failed: 1, left: 99 },
    });

  expect(phase(story)).toContain('1,900 of 1,902 small indexes built, 2 failed');
  round(story);
  expect(phase(story)).toContain('1,900 of 3,902 small indexes built, 2 failed');
});

test.each([
  ['of another message', lineOf(0, { message: 'Planned.' })],
  ['without the fields', JSON.stringify({ message: BATCH_CONTINUES })],
  ['that is not JSON', `${BATCH_CONTINUES} {`],
  ['of a batch that no plan contained', lineOf(7)],
])('a line %s changes nothing', (_case, text) => {
  const story = twoBatches();

  expect(log(story, text, 1_000)).toEqual([]);
  expect(phase(story)).toContain('0 of 2,000 small indexes built');
});
