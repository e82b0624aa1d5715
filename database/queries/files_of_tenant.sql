-- The storage that a tenant uses.
-- $1: 140
select count(*) as files, sum(size_bytes) as size_bytes
from files
where tenant_id = $1;
