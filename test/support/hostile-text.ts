import fc from 'fast-check';

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
