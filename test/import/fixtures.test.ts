import { relative } from 'node:path';
import { expect, test } from 'vitest';
import { findSources } from '../../lib/sources/find-sources.ts';
import { fixture, importFixture } from '../support/fixtures.ts';

interface Expected {
  readonly tool: string;
  readonly taken: readonly string[];
  /** The start of FILE:LINE, what and why; enough to identify each. */
  readonly notTaken: readonly string[];
  readonly constraints: number;
  readonly dropped: number;
}

const EXPECTED: Record<string, Expected> = {
  prisma: {
    tool: 'prisma',
    taken: [
      'Project_tenantId_name_key',
      'Customer_email_key',
      'Customer_tenantId_createdAt_idx',
      'Customer_projectId_status_idx',
      'Customer_trial_createdAt_idx',
    ],
    notTaken: [],
    constraints: 2,
    dropped: 1,
  },
  drizzle: {
    tool: 'drizzle',
    taken: [
      'idx_messages_ticket_tenant',
      'tickets_subject_key',
      'idx_tickets_tenant_status',
      'idx_messages_search',
    ],
    notTaken: ['scratch.sql file scratch.sql: meta/_journal.json does not list it'],
    constraints: 3,
    dropped: 1,
  },
  rails: {
    tool: 'rails',
    taken: ['index_deals_on_company_id', 'index_deals_on_tenant_id_and_created_at', 'index_deals_open'],
    notTaken: [],
    constraints: 3,
    dropped: 0,
  },
  flyway: {
    tool: 'flyway',
    taken: [
      'idx_audit_logs_tenant_created',
      'idx_audit_logs_event',
      'audit_logs_tenant_id_kind_idx',
      'idx_audit_logs_recent',
    ],
    notTaken: [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: this is Flyway's syntax for placeholders
      'V2__audit_action.sql:3 index on "create index idx_audit_${environment} on audit_logs (create…": it contains ${environment}',
    ],
    constraints: 3,
    dropped: 1,
  },
  'node-pg-migrate': {
    tool: 'node-pg-migrate',
    taken: [
      'files_tenant_id_idx',
      'files_lower_idx',
      'integrations_tenant_id_index',
      'integrations_provider_key',
      'idx_files_size',
    ],
    notTaken: [
      '1712000000000_backfill.js migration 1712000000000_backfill.js: its up function cannot run without a database',
    ],
    constraints: 2,
    dropped: 0,
  },
  plain: {
    tool: 'plain',
    taken: ['idx_metrics_tenant_day', 'idx_metrics_metric', 'metrics_day_expr_idx'],
    notTaken: [
      '002_usage.sql:3 index idx_metrics_name: its name is taken already (',
      '002_usage.sql:9 statement "create index idx_broken on metrics (day,)": it cannot be parsed',
      '001_usage.sql:16 index idx_scratch: its table is temporary',
    ],
    constraints: 2,
    dropped: 1,
  },
};

const DUMPED = [
  'idx_invoices_tenant_unpaid',
  'idx_call_log_lead_created',
  'customer_summary_key',
  'customers_email_key',
  'customers_externalRef_idx',
  'customers_project_id_status_idx',
];
/** For each major version, the line of a function's EXECUTE. */
const DUMPS = { 14: 35, 15: 37, 16: 37, 17: 38, 18: 38 };
for (const [major, line] of Object.entries(DUMPS)) {
  const version = Number(major);
  EXPECTED[`pg_dump/${version}.sql`] = {
    tool: 'plain',
    taken: [
      ...DUMPED,
      ...(version >= 15 ? ['idx_customers_external_unique'] : []),
      'idx_customers_attributes',
    ],
    notTaken: [`:${line} index created in a function: code creates it`],
    constraints: 6,
    dropped: 0,
  };
}

test.each(Object.entries(EXPECTED))(
  'the import of %s contains exactly these indexes, and reports exactly these others',
  async (name, expected) => {
    const { entries, notTaken, constraints, dropped } = await importFixture(name);
    const { tool } = await findSources(fixture(name));

    expect({ tool, taken: entries.map((entry) => entry.name), constraints, dropped }).toEqual({
      tool: expected.tool,
      taken: expected.taken,
      constraints: expected.constraints,
      dropped: expected.dropped,
    });
    expect(notTaken).toHaveLength(expected.notTaken.length);
    for (const [at, { file, line, what, reason }] of notTaken.entries()) {
      const where = `${relative(fixture(name), file)}${line === null ? '' : `:${line}`}`;
      expect(`${where} ${what}: ${reason}`).toContain(expected.notTaken[at]);
    }
  },
);

const sqlOf = async (name: string, index: string) =>
  (await importFixture(name)).entries.find((entry) => entry.name === index);

test('an entry has CONCURRENTLY and IF NOT EXISTS, and quotes only names that need quotes', async () => {
  expect((await sqlOf('prisma', 'Customer_projectId_status_idx'))?.sql.replaceAll(/\s+/g, ' ')).toBe(
    'create index concurrently if not exists "Customer_projectId_status_idx" on "Customer" ("projectId", "status")',
  );
});

test('comments become descriptions, headers of tools do not, and an index without a comment asks for a description', async () => {
  const description = async (name: string, index: string) => (await sqlOf(name, index))?.description;
  expect(await description('rails', 'index_deals_open')).toBe(
    'Deals that still want work; the pipeline shows nothing else',
  );
  expect(await description('plain', 'idx_metrics_tenant_day')).toBe('What the invoice of a tenant adds up');
  expect(await description('flyway', 'idx_audit_logs_event')).toBe('the security report');
  expect(await description('prisma', 'Customer_email_key')).toMatch(
    /^Imported from .*migration\.sql, line 25\. Describe what uses this index\.$/,
  );
});

test('only unique indexes are critical', async () => {
  const { entries } = await importFixture('prisma');
  expect(entries.filter(({ critical }) => critical).map(({ name }) => name)).toEqual([
    'Project_tenantId_name_key',
    'Customer_email_key',
  ]);
});

test('the index of a partitioned table becomes an entry without ONLY, and its parts are not imported', async () => {
  const { entries, parts } = await importFixture('pg_dump/18.sql');
  expect(parts).toBe(4);
  expect(entries.map(({ sql }) => sql).join()).not.toMatch(/\bonly\b/i);
});

test('a column that is renamed later has its new name', async () => {
  expect((await sqlOf('flyway', 'idx_audit_logs_event'))?.sql).toContain('on audit_logs (kind)');
});
