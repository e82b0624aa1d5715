-- Stores the last call of each lead, so that lists do not have to read call_log. This migration copies the calls since
-- April 2024. A backfill worker completes the leads that have only older calls.
alter table leads
  add column last_call_at timestamptz,
  add column last_call_direction text check (last_call_direction in ('inbound', 'outbound')),
  add column call_history_backfilled boolean not null default false;

update leads
set last_call_at = recent.created_at,
    last_call_direction = recent.direction,
    call_history_backfilled = true
from (
  select distinct on (lead_id) lead_id, created_at, direction
  from call_log
  where lead_id is not null and created_at >= '2024-04-01 00:00:00+00'
  order by lead_id, created_at desc
) as recent
where leads.id = recent.lead_id;

update leads
set call_history_backfilled = true
where not call_history_backfilled
  and id not in (select lead_id from call_log where lead_id is not null);
