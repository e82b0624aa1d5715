import fc from 'fast-check';
import { expect } from 'vitest';

/**
 * Characters that no output may contain, apart from its own line ends and colours: C0, DEL, C1, line separators, bidirectional
 * and zero-width marks, other format characters, lone surrogates. The code has another definition: it names what may be shown.
 */
export const DANGEROUS_CHARACTERS =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u180e\u3164\u115f\u1160]|[\u{e0000}-\u{e0fff}]/u;

/** Pieces of attacks on terminals, logs of CI, mails, chats and pages. None of them contains the character 0. */
export const ATTACKS = [
  ...['\u001b]8;;https://evil.example\u0007click\u001b]8;;\u0007', '\u001b[2J', '\u001b[31m', '\u001b[8m'],
  ...['\u009b2J', '\u009d0;title\u009c', '\u0085', '\u007f', '\b\b\b', '\r', '\t', '\n'],
  ...['\u202egpj', '\u2066a\u2069', '\u200e', '\u061c', '\u200b', '\u200d', '\ufeff', '\u2028', '\u2029'],
  ...[
    '\n::error file=a,line=1::fake',
    '\r\n::set-output name=a::b',
    '##vso[task.setvariable]x',
    '##[error]x',
  ],
  ...['<script>alert(1)</script>', '<https://evil.example|click>', '<!channel>', '[a](https://evil.example)'],
  ...['https://evil.example/x', '\u{e0041}', '\u3164', '"', "'", '\\', '%0A', '`', '$$'],
] as const;

/** Texts of ordinary characters, attacks and any code unit. */
export const hostileText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...ATTACKS),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

/** The attacks that fit into one name of PostgreSQL (63 bytes): a link, a cleared screen, a turned direction, an annotation. */
export const HOSTILE_NAME = 'x\u001b]8;;https://e.x\u0007\u009b2J\u202e<b>\n::error::##vso[a]';

/** The same without the characters that a registry refuses. */
export const HOSTILE_REGISTERED_NAME = 'x\u007f\u009b2J\u202e<b>\n::error::##vso[a]https://e.x';

/** Asserts that a text for a terminal or a log contains nothing that either of them would execute. Its line ends may stay. */
export function expectHarmless(text: string): void {
  for (const line of text.split('\n')) {
    expect(line).not.toMatch(DANGEROUS_CHARACTERS);
    expect(line).not.toMatch(/^\s*::|##\w*\[/);
  }
}

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[(?:[12]|22|3[1236]|39)m`, 'g');

/** A text without the colours and weights that the commands use, and with all other escape sequences. */
export function withoutColours(text: string): string {
  return text.replaceAll(COLOUR, '');
}
