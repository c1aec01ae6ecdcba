-- A user's own model on top of the package.

select
    date_trunc('hour', started_at) as hour,
    vendor,
    count(*) as calls
from {{ ref('voicecalls', 'voicecalls__calls') }}
group by 1, 2
