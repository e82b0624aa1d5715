-- A tenant's usage since a date, for its invoice.
-- $1: 17
-- $2: 2025-12-01
select metric, sum(amount) as amount
from tenant_usage_metrics
where tenant_id = $1 and day >= $2
group by metric;
