-- The members of a tenant.
-- $1: 17
select id, full_name, role
from users
where tenant_id = $1
order by full_name;
