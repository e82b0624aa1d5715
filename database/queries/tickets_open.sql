-- A tenant's open tickets, oldest first.
-- $1: 17
select id, subject, created_at
from tickets
where tenant_id = $1 and status = 'open'
order by created_at;
