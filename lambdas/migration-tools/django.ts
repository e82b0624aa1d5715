import { notIn, type ToolTable } from './comparison.ts';

/**
 * A squashed migration takes the place of those that it replaces if all or none of them are applied; in the first case it is
 * applied too, whatever its own row says. Otherwise Django uses the replaced ones.
 */
export const django: ToolTable = {
  columns: ['app', 'name'],
  compare(migrations, rows) {
    const applied = new Set(rows.map(({ app, name }) => `${app}.${name}`));
    const unused = new Set<string>();
    for (const { key, keys = [] } of migrations) {
      if (keys.length === 0) continue;
      const count = keys.filter((replaced) => applied.has(replaced)).length;
      if (count === keys.length) applied.add(key);
      else applied.delete(key);
      for (const one of count === 0 || count === keys.length ? keys : [key]) unused.add(one);
    }
    return { pending: notIn(migrations, [...applied, ...unused]) };
  },
};
