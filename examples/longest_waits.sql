select wait_seconds, vendor, started_at, outcome, call_id
from voice_calls
where direction = 'inbound' and wait_seconds is not null
order by wait_seconds desc, started_at, call_id
limit 10;
