import { isMarkedOnline, ONLINE_MARK } from '../../../lambdas/shared/online-migrations.ts';
import type { SqlSource } from '../../sources/sql-source.ts';
import type { SqlText } from '../../sql/read-sql.ts';
import { onlineCommentsIn } from '../allow-comments.ts';
import type { Finding } from '../finding.ts';

/**
 * Finds comments that are to mark a file as online and do not.
 * @param inOneTransaction whether the runner sql applies the file
 */
export function markFindings({ file, text }: SqlSource, sql: SqlText, inOneTransaction: boolean): Finding[] {
  const isMarked = isMarkedOnline(text);
  return onlineCommentsIn(sql).flatMap((comment): Finding[] => {
    const message = problemOf(comment.isFirst && isMarked, inOneTransaction);
    if (message === null) return [];
    return [{ rule: 'online-migration', severity: 'error', file, ...sql.placeOf(comment.start), message }];
  });
}

function problemOf(isMark: boolean, inOneTransaction: boolean): string | null {
  if (!inOneTransaction)
    return 'The comment has no effect: only the runner sql applies marked files while the services run, and another tool applies this one. Remove the comment.';
  return isMark
    ? null
    : `The comment does not mark the file. Write "${ONLINE_MARK}" on a line of its own, with nothing after it, before the first statement.`;
}
