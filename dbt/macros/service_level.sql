{#-
    Whether an offered call counts as within the service level; null if it does not count at all.

    Cisco's three service levels differ in the calls that were abandoned within the threshold: they are
    ignored, count as not answered in time (negative), or count as answered in time (positive).
-#}
{% macro is_within_service_level() %}
    {%- set seconds = var('voicecalls_service_level_seconds') -%}
    {%- set abandoned = {
        'ignored': 'case when queue_seconds > ' ~ seconds ~ ' then false end',
        'negative': 'false',
        'positive': 'queue_seconds <= ' ~ seconds,
    } -%}
    {%- set choice = var('voicecalls_service_level_abandoned') -%}
    {%- if choice not in abandoned -%}
        {%- do exceptions.raise_compiler_error(
            'voicecalls: the var voicecalls_service_level_abandoned is ' ~ choice
            ~ '. It must be ' ~ abandoned | join(' or ') ~ '.'
        ) -%}
    {%- endif -%}
    case
        when not is_offered or is_short_abandoned then null
        when outcome = 'answered' then speed_of_answer_seconds <= {{ seconds }}
        when outcome = 'abandoned' then {{ abandoned[choice] }}
        else false
    end
{%- endmacro %}
