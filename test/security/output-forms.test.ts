import fc from 'fast-check';
import { expect, test } from 'vitest';
import { alertOf } from '../../lambdas/report/alert.ts';
import { BadInput } from '../../lambdas/shared/errors.ts';
import { parseExecutionInput } from '../../lambdas/shared/execution-input.ts';
import { MODES } from '../../lambdas/shared/modes.ts';
import type { IndexReport, Report } from '../../lambdas/shared/report-schema.ts';
import { withoutLinks } from '../../lambdas/shared/visible-text.ts';
import { frame } from '../../lib/cli/progress/frame.ts';
import { runSummary } from '../../lib/cli/summary/run-summary.ts';
import { terminalText } from '../../lib/cli/terminal/terminal-text.ts';
import { summaryOf } from '../../lib/import/import-summary.ts';
import type { Finding } from '../../lib/lint/finding.ts';
import { toGithub, toJson, toText } from '../../lib/lint/format-result.ts';
import { newRegistryFile } from '../../lib/registry/registry-text.ts';
import { registryOf, Story } from '../cli/progress-story.ts';
import { failedIndex, reportOf } from '../report/failures.ts';
import {
  DANGEROUS_CHARACTERS,
  expectHarmless,
  hostileText,
  withoutColours,
} from '../support/hostile-text.ts';

const RUNS = { numRuns: 500 };
const texts = fc.array(hostileText, { minLength: 8, maxLength: 8 });

test('no format of lint shows a dangerous character or makes another annotation', () => {
  fc.assert(
    fc.property(texts, ([file = '', rule = '', message = '', entry = '', name = '']) => {
      const finding: Finding = { rule, severity: 'error', file, line: 1, column: 2, message, entry };
      const result = {
        findings: [finding],
        files: 1,
        moved: [{ name, file, line: 1 }],
        kept: [{ name, file, line: 1, reason: message }],
        notRun: [file],
      };
      const text = toText(result, { paint: (piece) => piece });
      expectHarmless(terminalText(text));
      // A finding, its entry, a line each for what was moved, kept and not run, and the totals.
      expect(text.split('\n')).toHaveLength(5 + `${entry},`.split('\n').length);
      expectHarmless(toJson(result));
      expect(JSON.parse(toJson(result)).findings).toEqual(JSON.parse(JSON.stringify([finding])));
      const github = toGithub(result);
      expect(github.split('\n')).toHaveLength(1);
      expect(github).toMatch(/^::error file=[^:,]*,line=1,col=2,title=[^:,]*::/);
      expect(github).not.toMatch(DANGEROUS_CHARACTERS);
    }),
    RUNS,
  );
});

test('the summary of import has a line for each index and no dangerous character', () => {
  fc.assert(
    fc.property(texts, ([file = '', what = '', reason = '']) => {
      const notTaken = [{ file, line: 1, what, reason }];
      const text = summaryOf(
        { entries: [], notTaken, constraints: 0, dropped: 0, parts: 0 },
        ...([0, notTaken] as const),
      );
      expectHarmless(terminalText(text));
      expect(text.trimEnd().split('\n')).toHaveLength(5);
    }),
    RUNS,
  );
});

test('a registry file has no dangerous character, as TypeScript and as JSON', () => {
  fc.assert(
    fc.property(texts, ([name = '', sql = '', description = '', rule = '', reason = '']) => {
      const entries = [{ name, sql, description, accept: { [rule]: reason } }];
      for (const kind of ['ts', 'json'] as const) {
        const text = newRegistryFile(entries as never, kind);
        expect(text.replaceAll('\n', '')).not.toMatch(DANGEROUS_CHARACTERS);
        expectHarmless(terminalText(text));
      }
      // The escapes keep the value.
      expect(JSON.parse(terminalText(newRegistryFile(entries as never, 'json')))[0]).toMatchObject(
        JSON.parse(JSON.stringify({ name, sql })),
      );
    }),
    RUNS,
  );
});

/** A report in which every text is hostile. */
function hostileReport([a = '', b = '', c = '', d = '', e = '', f = '', g = '', h = '']: string[]): Report {
  const index = (more: Partial<IndexReport>) =>
    failedIndex(a, { schema: b, table: c, blockedBy: d, detail: e, terminated: f, ...more });
  return reportOf(
    [
      index({ critical: true, error: { sqlstate: null, message: g } }),
      index({ error: { sqlstate: 'XX000', message: h } }),
      index({ status: 'built' }),
      index({ status: 'drifted' }),
      index({ status: 'missing' }),
    ],
    {
      deploy: d,
      status: 'failed',
      failure: e,
      warnings: [f, g],
      services: [
        { name: h, stoppedAt: '2026-01-01T00:00:01.000Z', startedAt: null, status: 'stopped', error: null },
      ],
      migrations: {
        ...{ runner: 'ecs-task', outcome: 'failed', applied: [a], pending: [b] },
        failure: {
          ...{ file: c, line: 1, statement: d, sqlstate: null, message: e, blockedBy: f },
          ...{ changes: 'none', log: g, next: [h] },
        },
      },
    },
  );
}

test('no summary of a run shows a dangerous character, with and without colours', () => {
  fc.assert(
    fc.property(texts, fc.constantFrom('deploy', 'plan'), fc.boolean(), (parts, mode, colour) => {
      const report = { ...hostileReport(parts), mode };
      const text = terminalText(runSummary(report, { colour, startCommand: parts[0] ?? null }), colour);
      expectHarmless(withoutColours(text));
      if (!colour) expectHarmless(text);
    }),
    RUNS,
  );
});

test('no alert has a dangerous character, a line of someone else or a link', () => {
  fc.assert(
    fc.property(texts, fc.boolean(), (parts, hasIndexes) => {
      const report = hostileReport(parts);
      const alert = alertOf(hasIndexes ? report : { ...report, indexes: [] }, {
        environment: 'prod',
        startServicesMachine: 'start-services',
        buildIndexesMachine: 'build-indexes',
      });
      expect(alert?.subject).toMatch(/^pg-deploy-step prod: [\x20-\x7e]{1,70}$/);
      const message = alert?.message ?? '';
      expectHarmless(message);
      expect(message.match(/^(?:Environment|Deploy|Status|Services|What to do next):/gm)).toHaveLength(5);
      expect(message).not.toMatch(/:\/\/[\w.]|<[a-z!]|\]\(/);
    }),
    RUNS,
  );
});

test('no picture of a run shows a dangerous character', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 20, max: 200 }), ([name = '', table = '', error = ''], width) => {
      const registry = registryOf('e.x').map((entry) => ({ ...entry, name: `i${name}`, table: `t${table}` }));
      const story = new Story(registry);
      story.plan([{ table: `t${table}`, indexes: [`i${name}`] }]);
      story.begin(`i${name}`);
      story.fail(`i${name}`, 'BuildFailed', error);
      for (const line of story.texts) expectHarmless(line);
      const picture = frame(story.run, { width, now: Date.now() });
      expect(picture.replaceAll('\n', '')).not.toMatch(DANGEROUS_CHARACTERS);
    }),
    RUNS,
  );
});

test('every input of an execution is accepted or refused, in one line of at most 4,000 characters without links', () => {
  const value = fc.oneof(
    fc.jsonValue(),
    hostileText,
    fc.array(fc.oneof(hostileText, fc.constantFrom('a', 'public.a', 'b.c'), fc.jsonValue())),
  );
  const keys = fc.oneof(fc.constantFrom('mode', 'indexes', 'force', '__proto__', 'constructor'), hostileText);
  const input = fc.oneof(fc.jsonValue(), hostileText, fc.dictionary(keys, value));
  const REGISTRY = [
    { schema: 'public', name: 'a' },
    { schema: 'b', name: 'c' },
  ];
  let refused = 0;
  fc.assert(
    fc.property(input, (raw) => {
      try {
        const { mode, indexes, force } = parseExecutionInput(JSON.parse(JSON.stringify(raw)), REGISTRY);
        expect(MODES).toContain(mode);
        expect(indexes.every((name) => ['a', 'b.c'].includes(name))).toBe(true);
        expect(new Set(indexes).size).toBe(indexes.length);
        expect(typeof force).toBe('boolean');
      } catch (error) {
        expect(error).toBeInstanceOf(BadInput);
        const { message } = error as BadInput;
        expect(message.split('\n')).toHaveLength(1);
        expect(message.length).toBeLessThanOrEqual(4_000);
        expectHarmless(message);
        expect(withoutLinks(message)).not.toMatch(/:\/\/|<[a-z!]/);
        refused += 1;
      }
    }),
    { numRuns: 10_000 },
  );
  expect(refused).toBeGreaterThan(1_000);
});
