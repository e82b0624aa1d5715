-- A tenant's leads whose last call was inbound.
-- $1: 17
select id, full_name, phone, last_call_at
from leads
where tenant_id = $1 and last_call_direction = 'inbound'
order by last_call_at desc;
