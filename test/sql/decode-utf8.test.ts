import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { decodeUtf8 } from '../../lib/sql/decode-utf8.ts';

const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

test('text in UTF-8 is decoded, without a byte order mark at its start', () => {
  expect(decodeUtf8(bytes("select 'é→😀\ufffd';"))).toEqual({ text: "select 'é→😀\ufffd';", problem: null });
  expect(decodeUtf8(bytes([0xef, 0xbb, 0xbf], 'select 1;'))).toEqual({ text: 'select 1;', problem: null });
  expect(decodeUtf8(bytes())).toEqual({ text: '', problem: null });
});

test.each<[string, Buffer, object]>([
  ['Latin-1', bytes('a\n→ caf', [0xe9], " '"), { line: 2, column: 6, offset: 9 }],
  ['at the end, cut off', bytes('a\nb', [0xe2, 0x86]), { line: 2, column: 2, offset: 3 }],
  ['a lone continuation byte', bytes([0x80]), { line: 1, column: 1, offset: 0 }],
  ['an overlong form', bytes('x', [0xc0, 0xaf]), { line: 1, column: 2, offset: 1 }],
  ['a surrogate', bytes('😀', [0xed, 0xa0, 0x80]), { line: 1, column: 2, offset: 4 }],
  ['beyond U+10FFFF', bytes([0xf4, 0x90, 0x80, 0x80]), { line: 1, column: 1, offset: 0 }],
  ['after a byte order mark', bytes([0xef, 0xbb, 0xbf], 'a', [0xff]), { line: 1, column: 2, offset: 4 }],
])('a byte that is not UTF-8 is reported with its place: %s', (_what, input, place) => {
  const { text, problem } = decodeUtf8(input);
  const byte = input[(place as { offset: number }).offset] ?? 0;

  expect(text).toBe('');
  expect(problem).toMatchObject(place);
  expect(problem?.message).toContain(
    `Byte 0x${byte.toString(16).toUpperCase().padStart(2, '0')} at offset ${(place as { offset: number }).offset} is not valid UTF-8`,
  );
  expect(problem?.message).toContain('iconv -f WINDOWS-1252 -t UTF-8');
});

test('a NUL byte is reported with its place', () => {
  const { text, problem } = decodeUtf8(bytes("select 1;\nselect 'a", [0], "b';"));

  expect(text).toBe('');
  expect(problem).toMatchObject({ line: 2, column: 10, offset: 19 });
  expect(problem?.message).toContain('Byte 0x00 (NUL) at offset 19');
});

test.each([
  ['UTF-16 (little-endian)', [0xff, 0xfe], 'iconv -f UTF-16 -t UTF-8'],
  ['UTF-16 (big-endian)', [0xfe, 0xff], 'iconv -f UTF-16 -t UTF-8'],
  ['UTF-32 (little-endian)', [0xff, 0xfe, 0, 0], 'iconv -f UTF-32 -t UTF-8'],
  ['UTF-32 (big-endian)', [0, 0, 0xfe, 0xff], 'iconv -f UTF-32 -t UTF-8'],
])('a byte order mark of %s is named', (encoding, mark, command) => {
  const { problem } = decodeUtf8(bytes(mark, [0x61, 0x00]));

  expect(problem).toMatchObject({ line: 1, column: 1, offset: 0 });
  expect(problem?.message).toContain(`The file is ${encoding}`);
  expect(problem?.message).toContain(command);
});

test.each([
  ['little-endian', Buffer.from("select 'é';", 'utf16le'), 'UTF-16LE'],
  ['big-endian', Buffer.from("select 'é';", 'utf16le').swap16(), 'UTF-16BE'],
])('UTF-16 without a byte order mark is recognised: %s', (_order, input, encoding) => {
  expect(decodeUtf8(input).problem?.message).toContain(`iconv -f ${encoding} -t UTF-8`);
});
