import { clipBytes, MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import type { NamePool } from './name-pool.ts';

/**
 * `NAME1_NAME2_LABEL` in at most 63 bytes, as the server's makeObjectName builds it: it truncates the longer of the two names
 * first, and never the label.
 * @param name2 null for `NAME1_LABEL`
 */
function makeObjectName(name1: string, name2: string | null, label: string): string {
  const overhead = Buffer.byteLength(label) + (name2 === null ? 1 : 2);
  let bytes1 = Buffer.byteLength(name1);
  let bytes2 = Buffer.byteLength(name2 ?? '');
  while (bytes1 + bytes2 > MAX_IDENTIFIER_BYTES - overhead) {
    if (bytes1 > bytes2) bytes1 -= 1;
    else bytes2 -= 1;
  }
  const middle = name2 === null ? '' : `_${clipBytes(name2, bytes2)}`;
  return `${clipBytes(name1, bytes1)}${middle}_${label}`;
}

/** The first free name of `…_LABEL`, `…_LABEL1`, `…_LABEL2`, … as in the server's ChooseRelationName. */
export function chooseName(name1: string, name2: string | null, label: string, taken: NamePool): string {
  return taken.firstFree(JSON.stringify([name1, name2, label]), (pass) =>
    makeObjectName(name1, name2, pass === 0 ? label : `${label}${pass}`),
  );
}

/** The names of columns, joined for the name of an index or a constraint, up to the length that is truncated anyway. */
export function joinColumnNames(columns: readonly string[]): string {
  let joined = '';
  for (const column of columns) {
    joined = joined === '' ? column : `${joined}_${column}`;
    if (Buffer.byteLength(joined) > MAX_IDENTIFIER_BYTES) break;
  }
  return joined;
}
