-- A tenant's companies.
-- $1: 17
select id, name, industry
from companies
where tenant_id = $1
order by name;
