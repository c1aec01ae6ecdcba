select
    date_trunc('hour', started_at) as hour,
    vendor,
    count(*) as calls
from voice_calls
group by 1, 2
order by 1, 2;
