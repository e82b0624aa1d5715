create table leads (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  full_name text not null,
  phone text not null,
  created_at timestamptz not null default now()
);

-- A call from an unknown number has no lead.
create table call_log (
  id bigint generated always as identity primary key,
  -- pg-deploy-step: allow foreign-key-without-index queries select calls by lead, and tenants are never deleted
  tenant_id bigint not null references tenants (id),
  lead_id bigint references leads (id),
  direction text not null check (direction in ('inbound', 'outbound')),
  duration_seconds integer not null check (duration_seconds >= 0),
  created_at timestamptz not null default now()
);
