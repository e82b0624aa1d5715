import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { AUDIT_EXCEPTIONS, type AuditException } from '../../dependencies/accepted.ts';
import { type AuditReport, decideAudit, runAudit } from '../../dependencies/audit.ts';

const TODAY = '2026-11-21';

/** A report as npm 11 prints it: one package with an advisory, and one that depends on it. */
function reportWith(severity: string): AuditReport {
  const advisory = {
    name: 'parser',
    title: 'Prototype pollution',
    url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc',
    severity,
  };
  return {
    auditReportVersion: 2,
    vulnerabilities: {
      parser: { severity, via: [advisory] },
      reader: { severity, via: ['parser'] },
    },
  };
}

const exception = (until: string): AuditException => ({
  advisory: 'GHSA-aaaa-bbbb-cccc',
  package: 'parser',
  reason: 'we do not parse',
  until,
});

test.each([
  ['low', 'passed'],
  ['moderate', 'passed'],
  ['high', 'failed'],
  ['critical', 'failed'],
])('an advisory with the severity %s: %s', (severity, status) => {
  const result = decideAudit(reportWith(severity), [], TODAY);

  expect(result.status).toBe(status);
  // Once, although two packages have it.
  expect(result.lines).toEqual([
    `${severity}: parser: Prototype pollution https://github.com/advisories/GHSA-aaaa-bbbb-cccc`,
  ]);
});

test('a report without advisories passes', () => {
  const result = decideAudit({ auditReportVersion: 2, vulnerabilities: {} }, [], TODAY);
  expect(result).toEqual({ status: 'passed', lines: [] });
});

test('an exception is respected until its last day', () => {
  expect(decideAudit(reportWith('high'), [exception(TODAY)], TODAY)).toEqual({
    status: 'passed',
    lines: [
      'high: parser: Prototype pollution https://github.com/advisories/GHSA-aaaa-bbbb-cccc (accepted until 2026-11-21: we do not parse)',
    ],
  });
  const ended = decideAudit(reportWith('high'), [exception('2026-11-20')], TODAY);
  expect(ended.status).toBe('failed');
  expect(ended.lines.at(-1)).toContain('The exception for GHSA-aaaa-bbbb-cccc ended on 2026-11-20');
});

test('an exception for another advisory does not help, and one that is not needed has to go', () => {
  const other = { ...exception('2027-01-01'), advisory: 'GHSA-xxxx-yyyy-zzzz' };

  expect(decideAudit(reportWith('high'), [other], TODAY).status).toBe('failed');
  expect(decideAudit({ auditReportVersion: 2, vulnerabilities: {} }, [other], TODAY)).toEqual({
    status: 'failed',
    lines: [
      'The exception for GHSA-xxxx-yyyy-zzzz is not needed any more: remove it from dependencies/accepted.ts.',
    ],
  });
});

test.each<[string, AuditReport, string]>([
  [
    'a registry without this endpoint',
    {
      message: '405 Method Not Allowed - POST https://registry/-/npm/v1/security/advisories/bulk',
      error: {},
    },
    '405 Method Not Allowed',
  ],
  ['no network', { message: 'request failed, reason: connect ECONNREFUSED', error: {} }, 'ECONNREFUSED'],
  ['an error of npm', { error: { summary: 'This command requires a lockfile' } }, 'requires a lockfile'],
  ['no answer', {}, 'npm printed no report'],
])('with %s the audit is skipped, with the reason', (_what, report, reason) => {
  const result = decideAudit(report, [], TODAY);

  expect(result.status).toBe('skipped');
  expect(result.lines.join()).toContain(reason);
});

test('every exception has a reason and an end', () => {
  const wrong = AUDIT_EXCEPTIONS.filter(
    ({ advisory, reason, until }) =>
      !/^GHSA(-[0-9a-z]{4}){3}$/.test(advisory) || reason === '' || !/^\d{4}-\d\d-\d\d$/.test(until),
  );
  expect(wrong).toEqual([]);
});

describe('npm audit with a registry on this machine', () => {
  let server: Server | undefined;
  // The child process must not send its requests to a proxy.
  beforeAll(() => vi.stubEnv('NO_PROXY', '127.0.0.1'));
  afterAll(() => vi.unstubAllEnvs());
  afterEach(() => server?.close());

  /** Starts a registry that answers each request for advisories. @returns its address */
  async function registry(status: number, advisories: object): Promise<string> {
    const started = createServer((request, response) => {
      request.resume().on('end', () => {
        const isAudit = request.method === 'POST' && request.url === '/-/npm/v1/security/advisories/bulk';
        response.writeHead(isAudit ? status : 404, { 'content-type': 'application/json' });
        response.end(JSON.stringify(isAudit ? advisories : {}));
      });
    });
    server = started;
    await new Promise<void>((done) => started.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(started.address() as AddressInfo).port}`;
  }

  const advisory = (severity: string) => ({
    id: 1,
    url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc',
    title: 'Reads any file',
    severity,
    vulnerable_versions: '<99.0.0',
  });

  test('a vulnerability of a package that is delivered fails', async () => {
    const report = await runAudit(await registry(200, { 'jsonc-parser': [advisory('critical')] }));

    expect(decideAudit(report, [], TODAY)).toEqual({
      status: 'failed',
      lines: ['critical: jsonc-parser: Reads any file https://github.com/advisories/GHSA-aaaa-bbbb-cccc'],
    });
  });

  test('a vulnerability of a package for the development does not fail', async () => {
    const report = await runAudit(await registry(200, { 'fast-check': [advisory('critical')] }));

    expect(decideAudit(report, [], TODAY)).toEqual({ status: 'passed', lines: [] });
  });

  test('a registry without an audit is reported', async () => {
    const result = decideAudit(await runAudit(await registry(405, {})), [], TODAY);

    expect(result.status).toBe('skipped');
    expect(result.lines.join()).toContain('405 Method Not Allowed');
  });

  test('a registry that does not run is reported', async () => {
    const address = await registry(200, {});
    await new Promise((done) => server?.close(done));
    const result = decideAudit(await runAudit(address), [], TODAY);

    expect(result.status).toBe('skipped');
    expect(result.lines.join()).toContain('ECONNREFUSED');
  });
});
