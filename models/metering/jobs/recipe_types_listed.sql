with

recipes as (

    select * from {{ ref('stg_recipes') }}
    where is_current

),

recipe_types as (

    select * from {{ ref('effective_recipe_types') }}

),

known_types as (

    select recipe_type from {{ ref('effective_billing_contexts_by_recipe_type') }}
    union
    select recipe_type from recipe_types

),

as_of as (

    select * from {{ ref('as_of') }}

),

listed as (

    select
        recipes.*,
        {{ rule_date('as_of.as_of_date') }} as rule_date,
        replace(replace(lower(recipes.recipe_type), '-', '_'), ' ', '_') as raw_type

    from recipes
    cross join as_of

),

-- The listed type, otherwise the type of the listed trigger; null without both.
recipe_types_listed as (

    select
        listed.customer_id,
        listed.recipe_id,
        coalesce(
            known_types.recipe_type,
            case
                when coalesce(listed.trigger_operation, recipe_types.trigger_operation) = recipe_types.trigger_operation
                    then recipe_types.recipe_type
            end,
            case when listed.trigger_adapter is not null then 'workflow' end
        ) as recipe_type,
        case
            when
                known_types.recipe_type is null
                and coalesce(listed.trigger_operation, recipe_types.trigger_operation) = recipe_types.trigger_operation
                then recipe_types.rule_override
        end as type_override,
        case
            when known_types.recipe_type is not null then 'recipe_type'
            when listed.trigger_adapter is not null then 'trigger'
        end as type_source,
        listed.raw_type is not null and known_types.recipe_type is null as is_unknown_type

    from listed
    left join known_types on listed.raw_type in (known_types.recipe_type, known_types.recipe_type || '_recipe')
    left join recipe_types
        on
            listed.trigger_adapter = recipe_types.trigger_adapter
            and {{ is_in_force('recipe_types', 'listed.rule_date') }}

)

select * from recipe_types_listed
