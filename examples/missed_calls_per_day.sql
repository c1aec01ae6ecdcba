select
    started_at::date as day,
    vendor,
    count(*) as calls,
    count(*) filter (where outcome in ('missed', 'abandoned')) as missed,
    round(100.0 * count(*) filter (where outcome in ('missed', 'abandoned')) / count(*)) as percent
from voice_calls
where direction = 'inbound'
group by 1, 2
order by 1, 2;
