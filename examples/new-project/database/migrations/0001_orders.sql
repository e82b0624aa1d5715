create table orders (
  id bigint generated always as identity primary key,
  tenant_id bigint not null,
  status text not null,
  created_at timestamptz not null default now()
);
