with phone_numbers as (
    {{ voicecalls.source_rows('zendesk_phone_numbers', {'id': 'bigint', 'number': 'text', 'name': 'text'}) }}
)

select
    source_relation,
    cast(id as text) as phone_number_id,
    number as phone_number,
    name as phone_number_name
from phone_numbers
