import { Client } from 'pg';

/** Runs statements, each on its own as VACUUM wants it, on a connection of their own. @returns the rows of the last one */
export async function runSql(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of sql.split(';')) {
      if (statement.trim() !== '') ({ rows } = await client.query(statement));
    }
    return rows;
  } finally {
    await client.end();
  }
}
