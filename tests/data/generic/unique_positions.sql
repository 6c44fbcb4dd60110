{#- No job holds a position twice: a bit for each of 64 positions, much cheaper than counting rows of each. -#}
{% test unique_positions(model) %}

select
    job_hash,
    floor(line_index / 64) as first_position
from {{ model }}
where {{ in_this_run('steps') }}
group by job_hash, first_position
having count(*) > bit_count({{ bits_of_small_numbers('line_index % 64') }})

{% endtest %}
