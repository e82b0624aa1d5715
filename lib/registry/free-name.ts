import { clipBytes, MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';

/** A name that is not taken: cut to the length that PostgreSQL keeps, with a number if it is taken. */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? '' : `_${number}`;
    const name = clipBytes(wanted, MAX_IDENTIFIER_BYTES - Buffer.byteLength(end)) + end;
    if (!taken.has(name)) return name;
  }
}
