-- Sign-in: the user with this email address, in upper or lower case.
-- $1: user3@tenant-17.example
select id, tenant_id, role, password_hash
from users
where lower(email) = lower($1);
