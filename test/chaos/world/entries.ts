import type { IndexEntry } from '../../../lib/registry/define-indexes.ts';

/** What the report of an undisturbed run must say about an index. */
export type Expected =
  /** The index is valid with the registry's definition. */
  | { readonly kind: 'valid' }
  /** Another index has the definition, so that none is built. */
  | { readonly kind: 'equivalent'; readonly to: string }
  /** The index has another definition, and it stays: the registry asks for no rebuild, or something depends on the index. */
  | { readonly kind: 'drifted' }
  /** The index cannot be built. */
  | { readonly kind: 'failed'; readonly sqlstate: string };

export interface ChaosEntry extends IndexEntry {
  readonly schema: string;
  readonly table: string;
  /** CREATE INDEX without CONCURRENTLY, for the reference database. */
  readonly plainSql: string;
  readonly expected: Expected;
  /**
   * A condition that the index supports. For other access methods than btree, which amcheck does not check, rows that it
   * selects through the index are compared with a sequential scan.
   */
  readonly probe?: string;
}

const VALID: Expected = { kind: 'valid' };

interface Options {
  readonly unique?: boolean;
  readonly critical?: boolean;
  readonly expected?: Expected;
  readonly onDrift?: 'rebuild';
  readonly probe?: string;
  /** What the replacement takes from the drifted index, as pg_get_indexdef shows it. */
  readonly carriedOver?: string;
}

function entry(name: string, table: string, definition: string, options: Options = {}): ChaosEntry {
  const { unique = false, critical = false, expected = VALID, onDrift, probe, carriedOver } = options;
  const statement = (kind: string) =>
    `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${kind}${name} ON ${table} ${definition}`;
  const [schema = '', ...rest] = table.includes('.') ? table.split('.') : ['public', table];
  return {
    name,
    schema,
    table: rest.join('.'),
    sql: statement('CONCURRENTLY IF NOT EXISTS '),
    plainSql: [statement(''), carriedOver].join(' '),
    description: 'index of the chaos test',
    critical,
    expected,
    ...(onDrift && { onDrift }),
    ...(probe !== undefined && { probe }),
  };
}

const ENTRIES: readonly ChaosEntry[] = [
  entry('chaos_accounts_owner', 'accounts', '(owner)'),
  entry('chaos_accounts_rich', 'accounts', '(balance) WHERE balance > 1000'),
  entry('chaos_accounts_slow', 'accounts', '(chaos_slow(id))', { critical: true }),
  entry('chaos_accounts_note', 'accounts', '(note)'),
  entry('chaos_accounts_unique', 'accounts', '(id, owner)', { unique: true, critical: true }),
  entry('chaos_items_code', 'items', '(code)', { onDrift: 'rebuild' }),
  entry('chaos_items_upper', 'items', '((upper(note)), kind)', { onDrift: 'rebuild' }),
  entry('chaos_people_identity', 'people', '(id, name)', { unique: true, onDrift: 'rebuild' }),
  entry('chaos_visits_cluster', 'visits', '(page, visitor)', {
    onDrift: 'rebuild',
    carriedOver: 'WITH (fillfactor = 85)',
  }),
  // A foreign key uses the index, so it is not replaced.
  entry('chaos_sales_pair', 'shop.sales', '(amount, id)', {
    unique: true,
    onDrift: 'rebuild',
    expected: { kind: 'drifted' },
  }),
  entry('chaos_items_kind', 'items', '(kind)', { expected: { kind: 'drifted' } }),
  entry('chaos_items_lower', 'items', '(lower(code))'),
  entry('chaos_items_payload', 'items', 'USING gin (payload jsonb_path_ops)', {
    probe: `payload @> '{"k": 7}'`,
  }),
  entry('chaos_items_tags', 'items', 'USING gin (tags)', { probe: "tags @> array['t3']" }),
  entry('chaos_items_price', 'items', '(price) INCLUDE (kind)', {
    expected: { kind: 'equivalent', to: 'items_price_of_earlier' },
  }),
  entry('chaos_items_slow', 'items', "(chaos_slow(id)) WHERE kind IN ('a', 'b', 'c')"),
  entry('chaos_items_added', 'items', '(added_by_migration)'),
  // The function exists, but not for this type: the preflight does not refuse it.
  entry('chaos_items_missing', 'items', '(chaos_slow(kind))', {
    expected: { kind: 'failed', sqlstate: '42883' },
  }),
  entry('chaos_orders_item', 'orders', '(item_id)', { critical: true }),
  entry('chaos_orders_status', 'orders', "(status, placed_at) WHERE status <> 'sent'"),
  entry('chaos_orders_placed', 'orders', 'USING brin (placed_at)', {
    probe: "placed_at between '2026-01-02' and '2026-01-03'",
  }),
  entry('chaos_orders_total', 'orders', '(total DESC NULLS LAST)'),
  entry('chaos_people_email', 'people', '(email)', {
    unique: true,
    expected: { kind: 'failed', sqlstate: '23505' },
  }),
  entry('chaos_people_name', 'people', '(name text_pattern_ops)'),
  entry('chaos_people_area', 'people', 'USING gist (area)', { probe: "area && box '(10,10),(30,30)'" }),
  entry('chaos_people_share', 'people', '((100 / share))', {
    expected: { kind: 'failed', sqlstate: '22012' },
  }),
  entry('chaos_events_day', 'events', '(day)', { critical: true }),
  entry('chaos_events_writer', 'events', '(writer, (value % 10))'),
  entry('chaos_events_unique', 'events', '(day, writer, kind, value, id)', { unique: true }),
  entry('chaos_events_kind', 'events', '(kind)'),
  entry('chaos_item_totals', 'item_totals', '(total, item_id)', { unique: true }),
  entry('chaos_sales_region', 'shop.sales', '(region)'),
  entry('chaos_sales_amount', 'shop.sales', '(amount)', { unique: true, critical: true }),
  entry('chaos_visits_page', 'visits', '(page)'),
  entry('chaos_visits_visitor', 'visits', 'USING hash (visitor)', { probe: 'visitor = 42' }),
  entry('chaos_mixed', '"Mixed Case"', '("The Name")'),
  entry('chaos_marks_label', 'marks', '(label)'),
];

/** The registry of a round. @param criticalFailure an index that must fail is critical, so that every deploy fails */
export function chaosEntries(criticalFailure: boolean): ChaosEntry[] {
  return ENTRIES.map((one) =>
    one.name === 'chaos_people_email' ? { ...one, critical: criticalFailure } : one,
  );
}

/** The registry file. */
export function registryText(entries: readonly ChaosEntry[]): string {
  const file = entries.map(({ name, sql, description, critical, onDrift }) => ({
    ...{ name, sql, description, critical },
    ...(onDrift && { onDrift }),
  }));
  return JSON.stringify(file, null, 2);
}
