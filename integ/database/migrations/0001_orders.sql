-- The deploy stops the services before it runs migrations. A session of a task shows that the task had not ended.
do $$
declare
  sessions bigint;
begin
  select count(*) into sessions from pg_stat_activity where application_name = 'pg-deploy-step-integ-service';
  if sessions > 0 then
    raise exception 'The migrations started while the service still had % sessions', sessions;
  end if;
end
$$;

create table orders (
  id bigint generated always as identity primary key,
  customer_id bigint not null,
  status text not null,
  created_at timestamptz not null default now()
);
