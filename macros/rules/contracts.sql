{#- Exact arithmetic on whole numbers: every rounding is half up, of amounts that are never negative. -#}

{% macro share_of(amount, part, whole, unit=1) -%}
    {%- set units_of_whole = unit ~ " * cast(" ~ whole ~ " as bigint)" -%}
    {{ from_nanos(unit ~ " * " ~ whole_quotient(
        "2 * " ~ nanos(amount) ~ " * (" ~ part ~ ") + " ~ units_of_whole, "2 * " ~ units_of_whole
    )) }}
{%- endmacro %}


{% macro share_used(used, allowance) -%}
    cast(
        {{ from_nanos("1000 * " ~ whole_quotient(
            "2000000 * " ~ nanos(used) ~ " + " ~ nanos(allowance), "2 * " ~ nanos(allowance)
        )) }} as decimal(38, 6)
    )
{%- endmacro %}


{% macro nanos_per_minor_unit(minor_units) -%}
    case coalesce({{ minor_units }}, 2)
        when 0 then 1000000000
        when 1 then 100000000
        when 2 then 10000000
        when 3 then 1000000
        when 4 then 100000
    end
{%- endmacro %}


{% macro value_of(units, unit_price, minor_unit) -%}
    {{ from_nanos(minor_unit ~ " * " ~ whole_quotient(
        "2 * " ~ nanos(units) ~ " * " ~ nanos(unit_price) ~ " + 1000000000 * cast(" ~ minor_unit ~ " as bigint)",
        "2000000000 * cast(" ~ minor_unit ~ " as bigint)"
    )) }}
{%- endmacro %}
