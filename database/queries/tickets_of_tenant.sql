-- A tenant's newest tickets.
-- $1: 140
select id, subject, status, created_at
from tickets
where tenant_id = $1
order by created_at desc
limit 50;
