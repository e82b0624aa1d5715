-- The query of the new dashboard: the months of one representative, from the materialized view.
-- $1: 1
-- $2: 7
select month, representative, deals_total, deals_won, deals_lost, pipeline_value
from deal_monthly_summary
where tenant_id = $1 and user_id = $2
order by month;
