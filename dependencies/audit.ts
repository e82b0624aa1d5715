import { execFile } from 'node:child_process';
import type { AuditException } from './accepted.ts';
import { ROOT } from './lock-file.ts';

/** What `npm audit --json` prints, as far as it is needed. */
export interface AuditReport {
  auditReportVersion?: number;
  vulnerabilities?: Record<string, { severity: string; via: (string | Advisory)[] }>;
  /** Why there is no report. */
  message?: string;
  error?: { summary?: string; code?: string };
}

interface Advisory {
  name: string;
  title: string;
  /** Address of the advisory, which ends in its id. */
  url: string;
  severity: string;
}

export interface AuditResult {
  status: 'passed' | 'failed' | 'skipped';
  lines: string[];
}

const SERIOUS = ['high', 'critical'];

/**
 * Decides about an audit: an advisory with the severity high or critical fails unless it is accepted, and so does an
 * exception that has ended or is not needed any more. Without a report the audit is skipped, with the reason.
 * @param today YYYY-MM-DD
 */
export function decideAudit(
  report: AuditReport,
  exceptions: readonly AuditException[],
  today: string,
): AuditResult {
  if (report.auditReportVersion === undefined || report.vulnerabilities === undefined) {
    const reason = report.message ?? report.error?.summary ?? 'npm printed no report';
    return { status: 'skipped', lines: [`The registry did not answer the audit: ${reason}`] };
  }
  const advisories = advisoriesIn(report);
  const accepts = ({ advisory }: AuditException, { url }: Advisory) => url.endsWith(`/${advisory}`);
  const current = exceptions.filter(({ until }) => until >= today);
  const lines = advisories.map((advisory) => {
    const exception = current.find((one) => accepts(one, advisory));
    const note = exception ? ` (accepted until ${exception.until}: ${exception.reason})` : '';
    return `${advisory.severity}: ${advisory.name}: ${advisory.title} ${advisory.url}${note}`;
  });
  const ended = exceptions.filter((one) => !current.includes(one));
  const unused = current.filter((one) => !advisories.some((advisory) => accepts(one, advisory)));
  const failing = advisories.filter(
    (advisory) => SERIOUS.includes(advisory.severity) && !current.some((one) => accepts(one, advisory)),
  );
  lines.push(
    ...ended.map(
      ({ advisory, until }) =>
        `The exception for ${advisory} ended on ${until}: update the package or extend it.`,
    ),
    ...unused.map(
      ({ advisory }) =>
        `The exception for ${advisory} is not needed any more: remove it from dependencies/accepted.ts.`,
    ),
  );
  return { status: failing.length + ended.length + unused.length > 0 ? 'failed' : 'passed', lines };
}

/** Each advisory once. A text in `via` names another package of the report, which has the advisory. */
function advisoriesIn({ vulnerabilities = {} }: AuditReport): Advisory[] {
  const all = Object.values(vulnerabilities)
    .flatMap(({ via }) => via)
    .filter((via): via is Advisory => typeof via !== 'string');
  return [...new Map(all.map((advisory) => [`${advisory.name} ${advisory.url}`, advisory])).values()];
}

/**
 * Asks the registry about the packages that are installed with the product. Without an answer: a report with a message.
 * @param registry address of the registry. @default the configured one
 */
export async function runAudit(registry?: string): Promise<AuditReport> {
  // With --offline npm would report no vulnerability without asking anybody.
  const flags = [
    '--json',
    '--omit=dev',
    '--offline=false',
    '--fetch-retries=1',
    '--fetch-retry-mintimeout=1000',
  ];
  const stdout = await new Promise<string>((done) => {
    const args = ['audit', ...flags, ...(registry === undefined ? [] : [`--registry=${registry}`])];
    execFile('npm', args, { cwd: ROOT, timeout: 120_000 }, (_error, out) => done(out));
  });
  try {
    return JSON.parse(stdout) as AuditReport;
  } catch {
    return { message: stdout.trim() === '' ? 'no answer within 120 s' : 'npm printed no JSON' };
  }
}
