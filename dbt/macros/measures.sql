{#- What the marts count and add up. Each has a fixed type, for their contracts. -#}

{% macro count_where(condition) %}
    {{- 'cast(count(*) filter (where ' ~ condition ~ ') as bigint)' -}}
{% endmacro %}


{% macro total(column, condition='true') %}
    {{- 'cast(coalesce(sum(' ~ column ~ ') filter (where ' ~ condition ~ '), 0) as bigint)' -}}
{% endmacro %}


{#- A share or an average; null where there is nothing to divide by. -#}
{% macro ratio(numerator, denominator) %}
    {{- 'cast(' ~ numerator ~ ' as double precision) / nullif(' ~ denominator ~ ', 0)' -}}
{% endmacro %}


{#- The measures of offered calls that can be added up, in the marts by queue and by day. -#}
{% macro offered_call_measures() %}
    {{ voicecalls.count_where("is_offered") }} as offered_calls,
    {{ voicecalls.count_where("is_offered and outcome = 'answered'") }} as answered_calls,
    {{ voicecalls.count_where("is_offered and outcome = 'missed'") }} as missed_calls,
    {{ voicecalls.count_where("is_offered and outcome = 'voicemail'") }} as voicemail_calls,
    {{ voicecalls.count_where("is_offered and outcome = 'abandoned'") }} as abandoned_calls,
    {{ voicecalls.count_where("is_offered and is_short_abandoned") }} as short_abandoned_calls,
    {{ voicecalls.count_where("is_within_service_level is not null") }} as service_level_calls,
    {{ voicecalls.count_where("is_within_service_level") }} as calls_within_service_level,
    {{ voicecalls.count_where("speed_of_answer_seconds is not null") }} as speed_of_answer_calls,
    {{ voicecalls.total("speed_of_answer_seconds") }} as speed_of_answer_seconds
{%- endmacro %}


{#- The ratios of those measures. -#}
{% macro offered_call_ratios() %}
    {{ voicecalls.ratio('calls_within_service_level', 'service_level_calls') }} as service_level,
    {{ voicecalls.ratio('speed_of_answer_seconds', 'speed_of_answer_calls') }} as average_speed_of_answer_seconds,
    {{ voicecalls.ratio('abandoned_calls', 'offered_calls') }} as abandonment_rate,
    {{ voicecalls.ratio('abandoned_calls - short_abandoned_calls', 'offered_calls - short_abandoned_calls') }}
        as abandonment_rate_without_short
{%- endmacro %}
