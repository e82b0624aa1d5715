import pg from 'pg';
import { expect, test } from 'vitest';
import { isTemporary } from './target.ts';

test.each(['EPIPE', 'EBUSY', 'ECONNRESET', 'ENOENT'])('the socket error %s is temporary', (code) => {
  expect(isTemporary(Object.assign(new Error('of a socket'), { code }))).toBe(true);
});

test.each([
  ['57P01', true],
  ['40P01', true],
  ['42P01', false],
  ['23505', false],
])('whether the SQLSTATE %s is temporary: %s', (code, expected) => {
  const error = Object.assign(new pg.DatabaseError('of the server', 0, 'error'), { code });
  expect(isTemporary(error)).toBe(expected);
});
