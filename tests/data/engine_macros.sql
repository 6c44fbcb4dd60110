-- Each macro of macros/engine against literal values: what must be alike on every engine.
with

compared as (

    select
        'to_utc converts an offset' as claim,
        cast({{ to_utc("'2026-08-01T10:00:00.5+02:00'") }} as string) as found,
        '2026-08-01 08:00:00.5' as expected

    union all

    select
        'to_utc reads a time without an offset as UTC' as claim,
        cast({{ to_utc("'2026-08-01 10:00:00'") }} as string) as found,
        '2026-08-01 10:00:00' as expected

    union all

    select
        'to_utc reads a time without seconds' as claim,
        cast({{ to_utc("'2026-08-01T10:00-07:00'") }} as string) as found,
        '2026-08-01 17:00:00' as expected

    union all

    select
        'to_utc can not read a day that does not exist' as claim,
        cast({{ to_utc("'2026-02-30T10:00:00Z'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'to_utc can not read infinity' as claim,
        cast({{ to_utc("'infinity'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'as_text writes a decimal of 0 with all its decimals' as claim,
        {{ as_text('cast(0 as decimal(18, 9))') }} as found,
        '0.000000000' as expected

    union all

    select
        'as_text writes a decimal of many digits without an exponent' as claim,
        {{ as_text('cast(-0.00000025 as decimal(38, 9))') }} as found,
        '-0.000000250' as expected

    union all

    select
        'row_as_json writes a small decimal without an exponent' as claim,
        {{ row_as_json({'price': 'cast(0.00000025 as decimal(18, 9))'}) }} as found,
        '{"price":0.000000250}' as expected

    union all

    select
        'to_whole_number reads 3.0 as 3' as claim,
        cast({{ to_whole_number("'3.0'") }} as string) as found,
        '3' as expected

    union all

    select
        'to_whole_number does not round' as claim,
        cast({{ to_whole_number("'2.5'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'to_whole_number can not read a word' as claim,
        cast({{ to_whole_number("'many'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'to_date keeps a date as it is' as claim,
        cast({{ to_date("'2026-08-01'") }} as string) as found,
        '2026-08-01' as expected

    union all

    select
        'to_date keeps a midnight without offset' as claim,
        cast({{ to_date("'2026-08-01 00:00:00'") }} as string) as found,
        '2026-08-01' as expected

    union all

    select
        'to_date reads a month as its first day' as claim,
        cast({{ to_date("'2026-08'") }} as string) as found,
        '2026-08-01' as expected

    union all

    select
        'is_matching matches the whole text' as claim,
        cast({{ is_matching("'a_connector_1_2x'", '.+_connector_[0-9]+_[0-9]+') }} as string) as found,
        'false' as expected

    union all

    select
        'json_text finds a nested value' as claim,
        {{ json_text("'{\"output\": {\"page_count\": 7}}'", 'output.page_count') }} as found,
        '7' as expected

    union all

    select
        'json_text finds nothing where nothing is' as claim,
        {{ json_text("'{\"output\": 1}'", 'output.page_count') }} as found,
        cast(null as string) as expected

    union all

    select
        'has_json_value finds a member' as claim,
        cast({{ has_json_value("'{\"a\": null, \"b\": [], \"c\": {\"a\": 1}}'", ['z', 'b']) }} as string) as found,
        'true' as expected

    union all

    select
        'has_json_value knows that null is no value' as claim,
        cast({{ has_json_value("'{\"a\": null, \"b\": [], \"c\": {\"a\": 1}}'", ['a']) }} as string) as found,
        'false' as expected

    union all

    select
        'has_json_value finds no member of a member, and none of a list' as claim,
        cast({{ has_json_value("'[{\"a\": 1}]'", ['a', 'z']) }} as string) as found,
        'false' as expected

    union all

    select
        'has_json_value of no text is false' as claim,
        cast({{ has_json_value("cast(null as string)", ['a', 'z']) }} as string) as found,
        'false' as expected

    union all

    select
        'json_array_length_at counts elements' as claim,
        cast({{ json_array_length_at("'{\"input\": {\"sent\": [1, 2, 3]}}'", 'input.sent') }} as string) as found,
        '3' as expected

    union all

    select
        'json_array_length_at knows no length of a text' as claim,
        cast({{ json_array_length_at("'{\"input\": {\"sent\": \"many\"}}'", 'input.sent') }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'is_json_array knows an array' as claim,
        cast({{ is_json_array("'[1, 2]'") }} as string) as found,
        'true' as expected

    union all

    select
        'is_json_array knows that a text is none' as claim,
        cast({{ is_json_array("'size limit exceeded'") }} as string) as found,
        'false' as expected

    union all

    select
        'is_json knows that a text is none' as claim,
        cast({{ is_json("'size limit exceeded'") }} as string) as found,
        'false' as expected

    union all

    select
        'tiebreak_text joins values and keeps the place of a null' as claim,
        replace({{ tiebreak_text(["'a'", 'null', '1']) }}, chr(31), ',') as found,
        'a,,1' as expected

    union all

    select
        'tiebreak_text puts an empty value before every other' as claim,
        cast({{ tiebreak_text(['null', "'b'"]) }} < {{ tiebreak_text(["'!'", "'a'"]) }} as string) as found,
        'true' as expected

    union all

    select
        'tiebreak_text puts a value before one that it begins' as claim,
        cast({{ tiebreak_text(["'prod'", "'b'"]) }} < {{ tiebreak_text(["'prod!'", "'a'"]) }} as string) as found,
        'true' as expected

    union all

    select
        'start_of_day_in_utc is a midnight of the reporting time zone' as claim,
        cast({{ local_date(start_of_day_in_utc("cast('2026-03-08' as date)")) }} as string) as found,
        '2026-03-08' as expected

    union all

    select
        'start_of_day_in_utc is the first instant of its date' as claim,
        cast(
            {{ local_date(start_of_day_in_utc("cast('2026-03-08' as date)") ~ " - interval '1' second") }} as string
        ) as found,
        '2026-03-07' as expected

    union all

    select
        'ratio rounds half up' as claim,
        cast({{ ratio('1', '2000000') }} as string) as found,
        '0.000001' as expected

    union all

    select
        'ratio rounds the seventh decimal' as claim,
        cast({{ ratio('2', '3') }} as string) as found,
        '0.666667' as expected

    union all

    select
        'ratio of nothing is unknown' as claim,
        cast({{ ratio('0', '0') }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'bits_of_small_numbers has a bit for each number, once' as claim,
        (
            select cast(bit_count({{ bits_of_small_numbers('small_number') }}) as string)
            from (
                select 0 as small_number
                union all
                select 63 as small_number
                union all
                select 63 as small_number
            ) as three
        ) as found,
        '2' as expected

    union all

    select
        'bits_of_small_numbers can be joined' as claim,
        (
            select cast(bit_count(bit_or(bits)) as string)
            from (
                select {{ bits_of_small_numbers('0') }} as bits
                union all
                select {{ bits_of_small_numbers('5') }} as bits
                union all
                select {{ bits_of_small_numbers('5') }} as bits
            ) as three
        ) as found,
        '2' as expected

    union all

    select
        'to_boolean reads yes' as claim,
        cast({{ to_boolean("'yes'") }} as string) as found,
        'true' as expected

    union all

    select
        'to_boolean reads a word with blanks around it' as claim,
        cast({{ to_boolean("' OFF '") }} as string) as found,
        'false' as expected

    union all

    select
        'to_boolean reads a table tool''s 0.0' as claim,
        cast({{ to_boolean("'0.0'") }} as string) as found,
        'false' as expected

    union all

    select
        'to_utc reads an offset behind a blank' as claim,
        cast({{ to_utc("'2026-03-10 12:00:00 -0700'") }} as string) as found,
        '2026-03-10 19:00:00' as expected

    union all

    select
        'to_utc does not guess a time zone' as claim,
        cast({{ to_utc("'2026-04-01 05:30:00 BST'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'to_utc reads no offset beyond fourteen hours' as claim,
        cast({{ to_utc("'2026-04-01T05:30:00+99:00'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'to_utc reads no word' as claim,
        cast({{ to_utc("'epoch'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'to_utc reads a comma before the fraction' as claim,
        cast({{ to_utc("'2026-04-01T05:30:00,5Z'") }} as string) as found,
        '2026-04-01 05:30:00.5' as expected

    union all

    select
        'to_whole_number reads nothing beyond a million millions' as claim,
        cast({{ to_whole_number("'1000000000001'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'without_null_mark takes a mark for no value' as claim,
        {{ without_null_mark("' NaN '") }} as found,
        cast(null as string) as expected

    union all

    select
        'without_null_mark leaves a text that holds a mark' as claim,
        {{ without_null_mark("'nanny'") }} as found,
        'nanny' as expected

    union all

    select
        'to_utc can not read a time of day' as claim,
        cast({{ to_utc("'10:00'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'to_utc reads no date with slashes' as claim,
        cast({{ to_utc("'2026/08/01'") }} as string) as found,
        cast(null as string) as expected

    union all

    select
        'as_text writes a small decimal without an exponent' as claim,
        {{ as_text('cast(0.000000001 as decimal(18, 9))') }} as found,
        '0.000000001' as expected

    union all

    select
        'row_hash tells where the null is' as claim,
        cast(
            {{ row_hash(["'a'", 'cast(null as string)']) }} = {{ row_hash(['cast(null as string)', "'a'"]) }} as string
        ) as found,
        'false' as expected

    union all

    select
        'literal keeps quotes and backslashes' as claim,
        cast(length({{ literal("'\\'") }}) as string) as found,
        '3' as expected

    union all

    select
        'is_json looks behind the value' as claim,
        cast({{ is_json("'{} x'") }} as string) as found,
        'false' as expected

    union all

    select
        'reachable follows a circle once' as claim,
        (
            with

            starts as (

                select 1 as node

            ),

            links as (

                select
                    1 as link_from,
                    2 as link_to
                union all
                select
                    2 as link_from,
                    1 as link_to
                union all
                select
                    3 as link_from,
                    4 as link_to

            ),

            reached as (

                {{ transitive_closure('starts', 'links', 'node', link_from='link_from', link_to='link_to') }}

            )

            select cast(count(*) as string) || ', ' || cast(max(node) as string)
            from reached
        ) as found,
        '2, 2' as expected

    union all

    select
        'nanos and from_nanos keep each decimal of large amounts' as claim,
        cast({{ from_nanos(nanos('cast(99999999999.123456789 as decimal(38, 9))') ~ ' + 1') }} as string) as found,
        '99999999999.123456790' as expected

    union all

    select
        'amount adds without losing a decimal' as claim,
        cast(
            {{ amount('cast(99999999999.123456789 as decimal(38, 9))') }}
            - {{ amount('cast(0.000000001 as decimal(38, 9))') }} as string
        ) as found,
        '99999999999.123456788' as expected

    union all

    select
        'hours_between counts full hours, not the hours that begin' as claim,
        cast(
            {{ hours_between(
                "cast('2026-08-30 22:59:59.5' as timestamp)", "cast('2026-09-01 00:59:59' as timestamp)"
            ) }} as string
        ) as found,
        '25' as expected

    union all

    select
        'whole_quotient rounds down, and divides large numbers' as claim,
        cast(
            {{ whole_quotient(
                'cast(19999999999999999999 as decimal(38, 0)) * 1000000', 'cast(2 as decimal(38, 0)) * 10000000'
            ) }} as string
        ) as found,
        '999999999999999999' as expected

    union all

    select
        'share_of rounds to whole numbers without an overflow' as claim,
        cast({{ share_of('cast(101 as decimal(18, 9))', 'cast(14 as int)', 'cast(31 as int)', 1000000000) }} as string)
            as found,
        '46.000000000' as expected

    union all

    select
        'whole_quotient of nothing is unknown' as claim,
        cast({{ whole_quotient('5', '0') }} as string) as found,
        cast(null as string) as expected

)

select *
from compared
where found is distinct from expected
