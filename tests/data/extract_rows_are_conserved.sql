-- Rows in = rows used + repeated + quarantined + erased + ignored. The quarantine holds what is counted.
with

counts as (

    select * from {{ ref('extract_row_counts') }}

),

quarantined as (

    select count(*) as rows_held from {{ ref('quarantined_rows') }}

),

totals as (

    select sum(rows_quarantined) as rows_counted from counts

)

select
    extract_name,
    rows_read,
    rows_used + rows_repeated + rows_quarantined + rows_erased + rows_ignored as rows_accounted_for
from counts
where rows_read is distinct from rows_used + rows_repeated + rows_quarantined + rows_erased + rows_ignored

union all

select
    'quarantined_rows' as extract_name,
    quarantined.rows_held as rows_read,
    totals.rows_counted as rows_accounted_for
from quarantined
cross join totals
where quarantined.rows_held is distinct from totals.rows_counted
