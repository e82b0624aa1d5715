/*
 * Texts of any length for the readers of SQL: each repeats what a reader could read more than once. Some are no SQL, and some
 * are valid migrations of a size that nobody writes by hand.
 */

function repeated(part: string): (length: number) => string {
  return (length) => part.repeat(Math.ceil(length / part.length));
}

function numbered(count: number, textOf: (number: number) => string, separator = ''): string {
  return Array.from({ length: Math.ceil(count) }, (_, number) => textOf(number)).join(separator);
}

/** By what they repeat. The argument is about the length of the text. */
export const HOSTILE_SQL: Readonly<Record<string, (length: number) => string>> = {
  'empty block comments': repeated('/**/'),
  'line comments': repeated('--x\n'),
  'trailing comments': (n) => `select 1; ${'/* a */ '.repeat(Math.ceil(n / 8))}`,
  'comment chars': repeated('--'),
  'dollar brace': repeated('${'),
  'dollar brace a': repeated('${a '),
  placeholders: repeated('$' + '{a} '),
  newlines: repeated('\n'),
  spaces: repeated(' '),
  'block with newlines': (n) => `/*${'\n'.repeat(n)}*/select 1`,
  'block with space lines': (n) => `/*${' '.repeat(n)}*/select 1`,
  'block stars': (n) => `/*${'*'.repeat(n)}*/select 1`,
  'nested open': repeated('/*'),
  nested: (n) => '/*'.repeat(Math.ceil(n / 4)) + '*/'.repeat(Math.ceil(n / 4)),
  'dollar quotes': repeated('$a$ '),
  'distinct dollar quotes': (n) => numbered(n / 8, (i) => `$a${i}$ `),
  dollars: repeated('$'),
  'distinct semicolon dollars': (n) => numbered(n / 8, (i) => `$a${i}$;`),
  'e backslash': repeated("E'\\"),
  'e backslash quote': (n) => `E'${"\\'".repeat(Math.ceil(n / 2))}`,
  quotes: repeated("'"),
  doubled: (n) => `'${"''".repeat(Math.ceil(n / 2))}`,
  'quote a': repeated("'a "),
  'double quotes': repeated('"'),
  'unterminated e words': repeated("e' "),
  words: repeated('a '),
  'long word': repeated('a'),
  'word and dollar': repeated('a$'),
  'word${': repeated('a${'),
  meta: repeated('\\x '),
  'meta lines': repeated('\\x\n'),
  'meta \\g': repeated('select 1\\g\n'),
  copy: repeated('copy t from stdin;\n'),
  'copy data': (n) => `copy t from stdin;\n${'1\t2\n'.repeat(Math.ceil(n / 4))}`,
  'copy words': (n) => `copy ${'a '.repeat(Math.ceil(n / 2))};`,
  'copies complete': repeated('copy t from stdin;\n1\n\\.\n'),
  semicolons: repeated(';'),
  selects: repeated('select 1;\n'),
  'selects one line': repeated('select 1;'),
  'selects umlaut': repeated('select é;'),
  parens: repeated('('),
  'close parens': repeated(')'),
  'nested parens': (n) => `select ${'(((a + 1))), '.repeat(Math.ceil(n / 13))}1`,
  plus: (n) => `select 1${'+1'.repeat(Math.ceil(n / 2))}`,
  'and or': (n) => `select true${' and true or true'.repeat(Math.ceil(n / 16))}`,
  not: (n) => `select ${'not '.repeat(Math.ceil(n / 4))}true`,
  brackets: repeated('['),
  'create function begin': (n) => `create function f() begin atomic ${'begin '.repeat(Math.ceil(n / 6))}`,
  'many columns': (n) => `create table t (${numbered(n / 8, (i) => `c${i} int`, ',')});`,
  'alter add': (n) =>
    `create table t (a int);${numbered(n / 40, (i) => `alter table t add column c${i} int;\n`)}`,
  'many uniques': (n) => `create table t (${numbered(n / 14, (i) => `c${i} int unique`, ',')});`,
  'same uniques': (n) =>
    `create table t (a int); ${'alter table t add unique (a);\n'.repeat(Math.ceil(n / 30))}`,
  'many fks': (n) => `create table t (${numbered(n / 20, (i) => `c${i} int references u`, ',')});`,
  'same fks': (n) =>
    `create table t (a int); ${'alter table t add foreign key (a) references u;\n'.repeat(Math.ceil(n / 48))}`,
  'one index many columns': (n) => `create index on t (${'a, '.repeat(Math.ceil(n / 3))}a)`,
  'unnamed indexes': repeated('create index on t (a);\n'),
  'named indexes': (n) => numbered(n / 30, (i) => `create index i${i} on t (a);\n`),
  'tables+drop': (n) => numbered(n / 46, (i) => `create table t${i} (a int);drop table t${i};\n`),
  'tables then drops': (n) =>
    numbered(n / 46, (i) => `create table t${i} (a int);\n`) + numbered(n / 46, (i) => `drop table t${i};\n`),
  renames: (n) => numbered(n / 46, (i) => `create index i${i} on t (a);alter index i${i} rename to j${i};\n`),
  'rename table w fks': (n) =>
    numbered(n / 66, (i) => `create table t${i} (a int references t);alter table t${i} rename to u${i};\n`),
  'rename columns': (n) =>
    'create table t (a0 int); create index i on t (a0);' +
    numbered(n / 40, (i) => `alter table t rename a${i} to a${i + 1};\n`),
  'drop columns': (n) =>
    numbered(
      n / 60,
      (i) =>
        `alter table t add column a${i} int; create index on t (a${i}); alter table t drop column a${i};\n`,
    ),
  'allow comments': repeated('-- pg-deploy-step: allow create-index x\ncreate index on t (a);\n'),
  'allow inside': (n) =>
    `create index on t (a${'\n-- pg-deploy-step: allow create-index x'.repeat(Math.ceil(n / 40))});`,
  'allow one statement': (n) =>
    `${'-- pg-deploy-step: allow create-index x\n'.repeat(Math.ceil(n / 40))}create index on t (a);`,
  'do blocks': repeated("do $$ begin execute 'create index on t (a)'; end $$;\n"),
  'do many executes': (n) =>
    `do $$ begin ${"execute 'create index on t (a)';\n".repeat(Math.ceil(n / 32))} end $$;`,
  'do one statement executes': (n) =>
    `do $$ begin ${"execute 'create index on t (a)' into x ".repeat(Math.ceil(n / 40))}; end $$;`,
  'do then': (n) => `do $$ begin ${'then create index on t (a) '.repeat(Math.ceil(n / 28))}; end $$;`,
  'do begin': (n) => `do $$ ${'begin '.repeat(Math.ceil(n / 6))}; end $$;`,
  'do quoted': (n) => `do ' begin ${"execute ''create index on t (a)'';\n".repeat(Math.ceil(n / 32))} end ';`,
  'do umlaut': (n) => `do $$ begin ${"execute 'create index on é (a)';\n".repeat(Math.ceil(n / 32))} end $$;`,
  'functions chain': (n) =>
    `${numbered(
      n / 90,
      (i) =>
        `create function f${i}() returns void language sql as $$ create index on t (a); select f${i - 1}() $$;\n`,
    )}select f${Math.ceil(n / 90) - 1}();`,
  'comment in statement': (n) => `select 1 ${'/* a */'.repeat(Math.ceil(n / 7))};`,
  'comments umlaut line': repeated('/*é*/select 1;'),
  'syntax errors': repeated('select from from;'),
  'syntax error end': (n) => `select ${'a,'.repeat(Math.ceil(n / 2))};`,
  set_config: (n) => `select ${"set_config('a','b',true),".repeat(Math.ceil(n / 25))}1`,
  'strings concat': (n) => `select ${"'a' || ".repeat(Math.ceil(n / 7))}'b'`,
  'drop many': (n) => `drop index ${'a,'.repeat(Math.ceil(n / 2))}b`,
  'begin/rollback': repeated('begin;create index on t (a);rollback;\n'),
  tablespace: (n) => `set default_tablespace = 'x';${'create index on t (a);'.repeat(Math.ceil(n / 22))}`,
  'create schema': (n) => `create schema s ${'create index on t (a) '.repeat(Math.ceil(n / 22))}`,
  'column refs': (n) =>
    `create table t(a int); create index i on t ((${'a+'.repeat(Math.ceil(n / 2))}a)); alter table t rename a to b;`,
  'index paren elements': (n) =>
    `create table t(a int); create index i on t (${'(a),'.repeat(Math.ceil(n / 4))}a); alter table t rename a to b;`,
  union: (n) => `select 1${' union select 1'.repeat(Math.ceil(n / 15))}`,
  case: (n) =>
    `select ${'case when true then '.repeat(Math.ceil(n / 20))} 1 ${' end'.repeat(Math.ceil(n / 20))}`,
  subselects: (n) => `select ${'(select '.repeat(Math.ceil(n / 8))} 1 ${')'.repeat(Math.ceil(n / 8))}`,
  casts: (n) => `select 1${'::int'.repeat(Math.ceil(n / 5))}`,
  partitions: (n) =>
    'create table p (a int) partition by list (a);' +
    numbered(n / 60, (i) => `create table p${i} partition of p for values in (${i});`) +
    'drop table p;',
  'down marks': repeated('-- down migration\n'),
  'dash lines': repeated('- - '),
  dashes: repeated('-'),
  'dashes lines': repeated('------ \n'),
  'whitespace then marks': (n) => `${' '.repeat(n)}-- down`,
  'dash ws': (n) => `--${' -'.repeat(Math.ceil(n / 2))}\nselect 1`,
  'no newline spaces': (n) => `${'-- \t'.repeat(Math.ceil(n / 4))}`,
};
