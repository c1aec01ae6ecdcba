{#- The labels of a var as a list for `in`, in lowercase. -#}
{% macro statuses(name) %}
    {%- set labels = [] -%}
    {%- for label in var(name) -%}
        {%- do labels.append(dbt.string_literal(label | lower | trim)) -%}
    {%- endfor -%}
    {{- '(' ~ labels | join(', ') ~ ')' -}}
{% endmacro %}
