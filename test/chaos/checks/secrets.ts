import type { EndedRun } from '../command-run.ts';
import type { Query } from '../target.ts';
import { type Violation, violationIf } from './violation.ts';

/** Password of the servers that the chaos test starts. A fixed one, so that each round can search for it. */
export const PASSWORD = 'chaos-7Qm2-password';

/**
 * Texts that only the database may contain: the e-mail address of the rows that break a unique index, and the password in the
 * connection string.
 */
const SECRETS = ['person2999', PASSWORD];

const RULE = 'No value of a row and no password is in an output, a report, a log or the ledger.';

/** @param log the log of the functions */
export function checkOutput({ stdout, stderr, reportFile }: EndedRun, log: string): Violation[] {
  return violationIf(
    RULE,
    [stdout, stderr, reportFile ?? '', log].flatMap((text) => text.split('\n').filter(hasSecret)),
  );
}

export async function checkLedgerMessages(query: Query): Promise<Violation[]> {
  const rows = await query<{ message: string }>(
    'select item, message from deploy_step.index_builds where message is not null',
  );
  return violationIf(
    RULE,
    rows.filter(({ message }) => hasSecret(message)),
  );
}

function hasSecret(text: string): boolean {
  return SECRETS.some((secret) => text.includes(secret));
}
