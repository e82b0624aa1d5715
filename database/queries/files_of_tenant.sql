-- The number and the size of a tenant's files.
-- $1: 140
select count(*) as files, sum(size_bytes) as size_bytes
from files
where tenant_id = $1;
