import fc from 'fast-check';

/** The start of a placeholder. */
const OPEN = ['$', '{'].join('');

/** Parts that change how the text after them is read, and parts of statements. */
const PART = fc.constantFrom(
  ...["'", "''", '"', '""', "E'", "e'\\", "U&'", '$$', '$a$', '$a', '$é$', '$1', OPEN, `${OPEN}a}`, '{', '}'],
  ...['--', '-- a\n', '--\r', '/*', '*/', '/**/', '/* a */', '/*\n', '*', '/', '+', '-', '||', '@'],
  ...[
    '(',
    ')',
    '[',
    ']',
    ',',
    ';',
    ';\n',
    '.',
    ':',
    '::int',
    '\\',
    '\\x\n',
    '\\g\n',
    '\\gexec',
    '\\.\n',
    '\\i a\n',
  ],
  ...[
    ' ',
    '\n',
    '\r\n',
    '\r',
    '\t',
    '\f',
    '\v',
    '\u00a0',
    '\u2028',
    '\ufeff',
    '\u0000',
    '\u0001',
    '\ud800',
    '😀',
    'é',
  ],
  ...[
    'a',
    't',
    '1',
    '1.5',
    'select',
    'from',
    'create',
    'index',
    'on',
    'table',
    'drop',
    'alter',
    'function',
    'or',
    'replace',
  ],
  ...[
    'begin',
    'atomic',
    'end',
    'case',
    'when',
    'then',
    'copy',
    'stdin',
    'do',
    'execute',
    'union',
    'not',
    'begin;',
    'commit',
  ],
  ...[
    'create index on t (a);\n',
    'create table t (a int);\n',
    "do $$ begin execute 'create index on t (a)'; end $$;\n",
  ],
  ...[
    'copy t from stdin;\n1\n\\.\n',
    '-- pg-deploy-step: allow create-index x\n',
    '-- pg-deploy-step: ',
    '-- down migration\n',
  ],
  ...[
    "select set_config('client_encoding', 'latin1', true);",
    'alter table t rename to u;',
    'drop table t;',
    'reindex table t;',
  ],
);

/** Any text that a file can contain. */
export const anyText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: fc.tuple(PART, fc.constantFrom('', '', ' ')).map((pair) => pair.join('')) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
      { weight: 1, arbitrary: fc.tuple(PART, fc.nat(60)).map(([part, count]) => part.repeat(count)) },
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

const name = fc.constantFrom(
  'a',
  'b',
  'T1',
  '"x;y"',
  '"it\'s"',
  '"a--b"',
  'größe',
  'a$b',
  '"/*"',
  'e',
  '"$$"',
);
const literal = fc.constantFrom(
  ...[
    "''",
    "'a'",
    "'it''s;'",
    "'--'",
    "'/*'",
    "'\\'",
    "E'\\''",
    "e'\\\\'",
    "E'a\\';b'",
    "U&'\\0041'",
    "N'a'",
    "B'01'",
    "'a'\n'b;'",
  ],
  ...['$$;$$', "$a$'$$;$a$", '$é$;$é$', '1', '1.5', 'null', "'😀;'", `'${OPEN}a}'`, "'\\n'"],
);
const space = fc.constantFrom(
  ...[
    ' ',
    '\n',
    '\t',
    ' -- a;b\n',
    " --'\n",
    '/* ; */',
    "/* /* nested; */ ' */",
    '\r\n',
    '\f',
    ' --$$\r\n',
    '/***/',
    '/*é*/',
  ],
);

/** A token, and blank text after it. */
function words(...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> {
  const texts = parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part));
  return fc
    .tuple(fc.tuple(...texts), fc.array(space, { minLength: texts.length, maxLength: texts.length }))
    .map(([written, spaces]) => written.map((text, at) => text + (spaces[at] ?? ' ')).join(''));
}

const expression = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    literal,
    name,
    words('(', tie('any'), '+', tie('any'), ')'),
    words('(', tie('any'), '-', tie('any'), ')'),
    words('f(', tie('any'), ',', tie('any'), ')'),
    words('case', 'when', tie('any'), 'then', tie('any'), 'end'),
    words('(', 'select', tie('any'), ')'),
    words(tie('any'), '::', 'text'),
  ),
})).any;

const body = fc.constantFrom(
  '$$ begin perform 1; end $$',
  '$f$ begin execute $$ create index on t (a); $$; end $f$',
  "' begin null; end '",
);

/** Statements that PostgreSQL's parser accepts, with everything in them that looks like the end of one. */
export const validStatement: fc.Arbitrary<string> = fc.oneof(
  words('select', expression),
  words('select', expression, 'as', name, 'from', name),
  words('insert', 'into', name, 'values', '(', expression, ',', expression, ')'),
  words('update', name, 'set', name, '=', expression),
  words('create', 'table', name, '(', name, 'int', 'default', expression, ')'),
  words('create', 'index', name, 'on', name, '(', '(', expression, ')', ')'),
  words('do', body),
  words('create', 'function', name, '()', 'returns', 'int', 'language', 'plpgsql', 'as', body),
  words(
    'create',
    'or',
    'replace',
    'function',
    name,
    '()',
    'returns',
    'int',
    'begin',
    'atomic',
    'select',
    expression,
    ';',
    'select 1',
    ';',
    'end',
  ),
  words(
    'create',
    'procedure',
    name,
    '()',
    'begin',
    'atomic',
    'select',
    'case',
    'when',
    'true',
    'then',
    expression,
    'end',
    ';',
    'end',
  ),
  words(
    'create',
    'rule',
    name,
    'as',
    'on',
    'insert',
    'to',
    name,
    'do',
    '(',
    'select 1',
    ';',
    'select 2',
    ')',
  ),
  words(
    'comment',
    'on',
    'table',
    name,
    'is',
    literal.filter((text) => /^[Ee]?'/.test(text)),
  ),
  words('alter', 'table', name, 'add', 'column', name, 'int'),
);

/** A file of valid statements. Some are empty. */
export const validSql: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(
      fc.tuple(
        space,
        fc.oneof({ weight: 9, arbitrary: validStatement }, { weight: 1, arbitrary: fc.constant('') }),
      ),
    ),
    fc.boolean(),
  )
  .map(([statements, isEnded]) => statements.map((pair) => pair.join('')).join(';') + (isEnded ? ';' : ''));
