import { quoteLiteral } from '../postgres/identifiers.ts';
import type { CompiledIndex } from '../shared/registry.ts';
import { likePatterns } from '../shared/schema-patterns.ts';

/*
 * With a schema per tenant, a role can miss privileges in thousands of schemas. These statements find the schemas by the
 * patterns and the tables of the entries, as the deploy does. Each is one line of a refusal.
 */

/** Statements that grant the privileges on the schemas. */
export function grantSchemas(indexes: readonly CompiledIndex[], role: string): string[] {
  return statements(indexes, {
    select: 'n.nspname',
    where: '',
    grant: `'GRANT CREATE, USAGE ON SCHEMA %I TO %I', one, ${quoteLiteral(role)}`,
  });
}

/** Statements that make the role a member of the owners of the tables. */
export function grantOwners(indexes: readonly CompiledIndex[], role: string): string[] {
  return statements(indexes, {
    select: 'pg_get_userbyid(t.relowner)',
    where: ` AND NOT pg_has_role(${quoteLiteral(role)}, t.relowner, 'usage')`,
    grant: `'GRANT %I TO %I', one, ${quoteLiteral(role)}`,
  });
}

/** One for each list of patterns. */
function statements(
  indexes: readonly CompiledIndex[],
  { select, where, grant }: { readonly select: string; readonly where: string; readonly grant: string },
): string[] {
  const perSchema = indexes.filter(({ schemas }) => schemas !== undefined);
  const groups = Map.groupBy(perSchema, ({ schemas }) => JSON.stringify(schemas));
  return [...groups.values()].map((members) => {
    const tables = [...new Set(members.map(({ table }) => table))].map(quoteLiteral).join(', ');
    return [
      'DO $grants$ DECLARE one name; BEGIN',
      "PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);",
      `FOR one IN SELECT DISTINCT ${select} FROM pg_namespace n JOIN pg_class t ON t.relnamespace = n.oid`,
      `WHERE ${isMatch(members[0]?.schemas ?? [])} AND t.relname IN (${tables}) AND t.relkind IN ('r', 'p', 'm')${where}`,
      `LOOP EXECUTE format(${grant}); END LOOP; END $grants$;`,
    ].join(' ');
  });
}

/** SQL that is true for the schemas of patterns, as `n`. */
function isMatch(patterns: readonly string[]): string {
  const { included, excluded } = likePatterns(patterns);
  const like = (pattern: string) => `n.nspname LIKE ${quoteLiteral(pattern)}`;
  return `(${included.map(like).join(' OR ')}) AND NOT (${excluded.map(like).join(' OR ')})`;
}
