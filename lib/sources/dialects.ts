import { basename, dirname, join, relative, sep } from 'node:path';
import { counted } from '../../lambdas/shared/text.ts';
import { visible } from '../../lambdas/shared/visible-text.ts';
import { grouped } from './group-files.ts';

/** The words for other databases in names of files and folders, and in the settings of tools. */
const OTHERS: Readonly<Record<string, string>> = {
  mysql: 'mysql',
  mysql5: 'mysql',
  mysql8: 'mysql',
  mariadb: 'mariadb',
  sqlite: 'sqlite',
  sqlite3: 'sqlite3',
  libsql: 'sqlite',
  turso: 'sqlite',
  cockroach: 'cockroach',
  cockroachdb: 'cockroach',
  crdb: 'cockroach',
  mssql: 'sqlserver',
  sqlserver: 'sqlserver',
  tsql: 'sqlserver',
  oracle: 'oracle',
  h2: 'h2',
  hsql: 'hsqldb',
  hsqldb: 'hsqldb',
  derby: 'derby',
  db2: 'db2',
  clickhouse: 'clickhouse',
  snowflake: 'snowflake',
  bigquery: 'bigquery',
  redshift: 'redshift',
  spanner: 'spanner',
  singlestore: 'singlestore',
  duckdb: 'duckdb',
  gel: 'gel',
  mongodb: 'mongodb',
};

const POSTGRES = ['postgres', 'postgresql', 'pg', 'pgsql', 'psql', 'postgis'];

/** Files that are not for PostgreSQL. */
export interface OtherDialect {
  /** As file names call it: `mysql`. */
  readonly dialect: string;
  readonly files: number;
  /** One of them. */
  readonly example: string;
}

/** One line for the files of one database. */
export function inWords({ dialect, files, example }: OtherDialect): string {
  const [verb, one] = files === 1 ? ['is', visible(example)] : ['are', `such as ${visible(example)}`];
  const why = dialect === ANY ? 'replaced by the file for PostgreSQL beside it' : `for ${dialect}`;
  return `${counted(files, 'file')} ${verb} ${why}, and not read: ${one}.`;
}

/** Files without a dialect, where PostgreSQL has its own. */
const ANY = 'any database';

/** The other database that a word means, as in `provider = "mysql"`. Null: PostgreSQL, or no database. */
export function otherDialect(word: string): string | null {
  const key = word.toLowerCase();
  return Object.hasOwn(OTHERS, key) ? (OTHERS[key] ?? null) : null;
}

/**
 * Leaves out the SQL files of other databases: `1_a.mysql.up.sql`, `schema-mysql.sql` beside `schema-postgres.sql`, and those
 * below a folder `mysql`. A file without a dialect is left out if PostgreSQL has its own: `1_a.sql` beside
 * `1_a.postgres.sql`.
 * @param root the folder that the user named; its own name does not count
 */
export function withoutOtherDialects(
  files: readonly string[],
  root: string,
): { files: string[]; dialects: OtherDialect[] } {
  const names = new Set(files);
  const left: [string, string][] = [];
  const kept = files.filter((file) => {
    const dialect = dialectOf(file, root, names);
    if (dialect !== null) left.push([dialect, file]);
    return dialect === null;
  });
  const dialects = [...grouped(left)].map(([dialect, members]) => ({
    dialect,
    files: members.length,
    example: members[0] ?? '',
  }));
  return { files: kept, dialects };
}

/** The database of an SQL file, if it is not PostgreSQL. Null: it is PostgreSQL, or the file is no SQL. */
function dialectOf(file: string, root: string, all: ReadonlySet<string>): string | null {
  if (!/\.sql$/i.test(file)) return null;
  const own = dialectOfName(basename(file));
  if (own !== null) return own;
  const folders = relative(root, dirname(file)).split(sep);
  const ofFolder = folders.map(otherDialect).find((dialect) => dialect !== null);
  if (ofFolder !== undefined) return ofFolder;
  return suffixOf(file, all) ?? (hasOwnOfPostgres(file, all) ? ANY : null);
}

/** The dialect between the dots of a name: `1_a.mysql.up.sql`. Null: there is none, or it is PostgreSQL. */
function dialectOfName(name: string): string | null {
  const words = name.split('.').slice(1, -1).map(otherDialect);
  return words.find((word) => word !== null) ?? null;
}

/** The dialect at the end of a name, if the same file exists for PostgreSQL: `schema-mysql.sql`. */
function suffixOf(file: string, all: ReadonlySet<string>): string | null {
  const match = /^(?<stem>.*[-_]|)(?<word>[a-z0-9]+)(?<kind>(?:\.up)?\.sql)$/i.exec(basename(file))?.groups;
  if (match === undefined) return null;
  const { stem = '', word = '', kind = '' } = match;
  const dialect = otherDialect(word);
  const isBesidePostgres = POSTGRES.some((own) => all.has(join(dirname(file), `${stem}${own}${kind}`)));
  return isBesidePostgres ? dialect : null;
}

/** Whether `1_a.postgres.up.sql` exists beside `1_a.up.sql`. */
function hasOwnOfPostgres(file: string, all: ReadonlySet<string>): boolean {
  const [stem = '', ...rest] = basename(file).split('.');
  if (rest.some((word) => POSTGRES.includes(word))) return false;
  return POSTGRES.some((own) => all.has(join(dirname(file), [stem, own, ...rest].join('.'))));
}
