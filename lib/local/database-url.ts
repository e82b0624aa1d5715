/** The text is not a postgres:// URL. */
class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}

/**
 * Checks the form of a database URL. Does not connect.
 * @throws DatabaseUrlError that does not quote the URL, because it may contain a password
 */
export function checkDatabaseUrl(text: string): string {
  const form = 'Write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE.';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new DatabaseUrlError(`The database URL is not a valid URL. ${form}`);
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw new DatabaseUrlError(
      `The database URL must start with postgres://, but it starts with ${url.protocol}//. ${form}`,
    );
  }
  return text;
}

/** The database URL for messages and logs: the password is replaced by ***. */
export function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  if (url.password !== '') url.password = '***';
  url.searchParams.delete('password');
  return url.toString();
}
