insert into orders (customer_id, status)
select n % 1000, case when n % 10 = 0 then 'open' else 'done' end
from generate_series(1, 100000) as n;
