-- Tenants and their users. Migrations contain only the indexes that constraints create. All other indexes are in
-- database/indexes.ts.
create table tenants (
  id bigint generated always as identity primary key,
  slug text not null unique,
  name text not null,
  plan text not null default 'team' check (plan in ('free', 'team', 'enterprise')),
  created_at timestamptz not null default now()
);

create table users (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  email text not null,
  full_name text not null,
  role text not null default 'member' check (role in ('owner', 'admin', 'member')),
  password_hash text not null,
  created_at timestamptz not null default now()
);
