import { defineIndexes } from '../lib/registry/define-indexes.ts';

/**
 * All performance indexes of the demo. Two are critical, because the application does not work without them: the index
 * for sign-in, and the index for the refresh of the dashboard's view.
 */
export default defineIndexes([
  // Sign-in and the sales dashboard
  {
    name: 'users_email_key',
    sql: 'create unique index concurrently if not exists users_email_key on users (lower(email))',
    critical: true,
    description: 'Sign-in finds users by email address; each address is unique, in upper or lower case',
    serves: ['user_sign_in'],
  },
  {
    name: 'idx_deal_monthly_summary_key',
    sql: `create unique index concurrently if not exists idx_deal_monthly_summary_key
      on deal_monthly_summary (tenant_id, user_id, month)`,
    critical: true,
    description: 'One row per representative and month; REFRESH CONCURRENTLY of the view requires it',
    serves: ['dashboard_monthly_summary'],
  },
  {
    name: 'idx_deals_tenant_created',
    sql: `create index concurrently if not exists idx_deals_tenant_created
      on deals (tenant_id, created_at desc)`,
    description: "A tenant's deals by time, for the dashboard",
    serves: ['dashboard_deals'],
  },
  {
    name: 'idx_deals_tenant_status',
    sql: `create index concurrently if not exists idx_deals_tenant_status
      on deals (tenant_id, status, assigned_to)`,
    description: "A tenant's deals by status and representative, for the pipeline",
    serves: ['open_deals_of_representative'],
  },
  {
    name: 'idx_companies_tenant',
    sql: 'create index concurrently if not exists idx_companies_tenant on companies (tenant_id)',
    description: "A tenant's companies",
    serves: ['companies_of_tenant'],
  },

  // Calls
  {
    name: 'idx_leads_last_call_direction',
    sql: `create index concurrently if not exists idx_leads_last_call_direction
      on leads (tenant_id, last_call_direction)`,
    description: "A tenant's leads by the direction of their last call",
    serves: ['leads_by_call_direction'],
  },
  {
    name: 'idx_leads_backfill_pending',
    sql: `create index concurrently if not exists idx_leads_backfill_pending
      on leads (id) where not call_history_backfilled`,
    description: 'Leads without call history yet; the index becomes empty as the backfill worker continues',
    serves: ['leads_backfill_batch'],
  },
  {
    name: 'idx_call_log_lead_created',
    sql: `create index concurrently if not exists idx_call_log_lead_created
      on call_log (lead_id, created_at desc) where lead_id is not null`,
    description: 'The calls of a lead by time; without calls from unknown numbers',
    serves: ['calls_of_lead'],
    accept: { 'tenant-column-first': 'A lead belongs to one tenant, so its id selects rows of one tenant' },
  },

  // Tenant isolation: every query has a filter on the tenant
  {
    name: 'idx_messages_ticket_tenant',
    sql: `create index concurrently if not exists idx_messages_ticket_tenant
      on messages (ticket_id, tenant_id)`,
    description: "A ticket's messages",
    serves: ['messages_of_ticket'],
    accept: { 'tenant-column-first': 'A ticket belongs to one tenant, so its id selects rows of one tenant' },
  },
  {
    name: 'idx_messages_tenant_id',
    sql: 'create index concurrently if not exists idx_messages_tenant_id on messages (tenant_id)',
    description: "A tenant's messages",
    serves: ['messages_of_tenant'],
  },
  {
    name: 'idx_tickets_tenant_status',
    sql: 'create index concurrently if not exists idx_tickets_tenant_status on tickets (tenant_id, status)',
    description: "A tenant's tickets by status, for the support queue",
    serves: ['tickets_open'],
  },
  {
    name: 'idx_tickets_tenant_id',
    sql: 'create index concurrently if not exists idx_tickets_tenant_id on tickets (tenant_id)',
    description: "A tenant's tickets",
    serves: ['tickets_of_tenant'],
    accept: {
      'redundant-index': 'Every tenant table has this index, also when its composite indexes change',
    },
  },
  {
    name: 'idx_customers_tenant_status',
    sql: 'create index concurrently if not exists idx_customers_tenant_status on customers (tenant_id, status)',
    description: "A tenant's customers by status",
    serves: ['customers_past_due'],
  },
  {
    name: 'idx_customers_tenant_id',
    sql: 'create index concurrently if not exists idx_customers_tenant_id on customers (tenant_id)',
    description: "A tenant's customers",
    serves: ['customers_of_tenant'],
    accept: {
      'redundant-index': 'Every tenant table has this index, also when its composite indexes change',
    },
  },
  {
    name: 'customers_project_id_status_idx',
    sql: `create index concurrently if not exists customers_project_id_status_idx
      on customers (project_id, status)`,
    description: 'The customers of a project, all or by status, for CRM and billing',
    serves: ['customers_by_project_status', 'customers_of_project'],
    accept: {
      'tenant-column-first': 'A project belongs to one tenant, so its id selects rows of one tenant',
    },
  },
  {
    name: 'idx_users_tenant_id',
    sql: 'create index concurrently if not exists idx_users_tenant_id on users (tenant_id)',
    description: "A tenant's users",
    serves: ['users_of_tenant'],
  },
  {
    name: 'idx_files_tenant_id',
    sql: 'create index concurrently if not exists idx_files_tenant_id on files (tenant_id)',
    description: "A tenant's files",
    serves: ['files_of_tenant'],
  },
  {
    name: 'idx_integration_credentials_tenant_id',
    sql: `create index concurrently if not exists idx_integration_credentials_tenant_id
      on integration_credentials (tenant_id)`,
    description: "A tenant's integrations",
    serves: ['integrations_of_tenant'],
  },
  {
    name: 'idx_audit_logs_tenant_id',
    sql: 'create index concurrently if not exists idx_audit_logs_tenant_id on audit_logs (tenant_id)',
    description: "A tenant's audit log",
    serves: ['audit_trail_of_tenant'],
  },
  {
    name: 'idx_usage_metrics_tenant_id',
    sql: `create index concurrently if not exists idx_usage_metrics_tenant_id
      on tenant_usage_metrics (tenant_id)`,
    description: "A tenant's usage, for its invoice",
    serves: ['usage_of_tenant'],
  },
]);
