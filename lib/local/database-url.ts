/** An address that is no postgres:// URL. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}

/**
 * Checks a database's address, without connecting.
 * @throws DatabaseUrlError that never repeats the address, which may hold a password.
 */
export function checkDatabaseUrl(text: string): string {
  const form = 'Write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE.';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new DatabaseUrlError(`The database's address is no URL. ${form}`);
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw new DatabaseUrlError(
      `The database's address begins with ${url.protocol}//, not with postgres://. ${form}`,
    );
  }
  return text;
}

/** The address for people: without its password. */
export function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  if (url.password !== '') url.password = '***';
  url.searchParams.delete('password');
  return url.toString();
}
