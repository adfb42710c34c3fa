-- The schema as rows of text, one object each: a table (with its columns, constraints, unique indexes and triggers), another
-- index, a function, or a sequence. Only PostgreSQL's own texts of parsed definitions, in the form with few parentheses, which
-- stays the same after a dump and restore, and from PostgreSQL 15 to 18.
--
-- Left out, because operators may choose them: owners, privileges, comments, storage parameters, tablespaces, statistics, and
-- views.
with
    here as (
        select relnamespace as namespace from pg_class where oid = to_regclass('_sqlx_migrations')
    ),
    own as (
        select pg_class.oid as relation, relname, relkind
        from pg_class join here on relnamespace = namespace
        where relkind in ('r', 'S') and relname <> '_sqlx_migrations'
    ),
    described as (
        select 'table ' || relname as object, 1 as part, row_number() over (partition by relation order by attnum) as place,
               concat_ws(' ', attname, format_type(atttypid, atttypmod),
                   'collate ' || nullif(attcollation, typcollation)::regcollation,
                   case when attnotnull then 'not null' end, 'identity ' || nullif(attidentity, '')::text,
                   'generated ' || nullif(attgenerated, '')::text, 'default ' || pg_get_expr(adbin, adrelid, true)) as definition
        from own
        join pg_attribute on attrelid = relation and attnum > 0 and not attisdropped
        join pg_type on pg_type.oid = atttypid
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where relkind = 'r'
        union all
        -- From version 18 on, `not null` is a constraint too (n); the columns have it already.
        select 'table ' || relname, 2, 0, conname || ' ' || pg_get_constraintdef(pg_constraint.oid, true)
        from own join pg_constraint on conrelid = relation and contype in ('c', 'f', 'p', 'u', 'x')
        union all
        select case when indisunique then 'table ' || own.relname else 'index ' || index.relname end, 3, 0,
               concat_ws(' ', pg_get_indexdef(indexrelid, 0, true), case when not indisvalid then 'invalid' end)
        from own
        join pg_index on indrelid = relation
        join pg_class index on index.oid = indexrelid
        where not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))
        union all
        select 'table ' || relname, 4, 0, concat_ws(' ', pg_get_triggerdef(pg_trigger.oid, true), 'enabled', tgenabled)
        from own join pg_trigger on tgrelid = relation and not tgisinternal
        union all
        select concat('function ', proname, '(', pg_get_function_identity_arguments(pg_proc.oid), ')'), 5, 0,
               concat_ws(' ', prokind, pg_get_function_arguments(pg_proc.oid), pg_get_function_result(pg_proc.oid), lanname,
                   provolatile, proparallel, proisstrict, prosecdef, proconfig, prosrc, pg_get_function_sqlbody(pg_proc.oid))
        from here
        join pg_proc on pronamespace = namespace and prokind in ('f', 'p')
        join pg_language on pg_language.oid = prolang
        union all
        -- The sequences of identity columns belong to those.
        select 'sequence ' || relname, 6, 0,
               concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
        from own join pg_sequence on seqrelid = relation
        where not exists (
            select from pg_depend
            where classid = 'pg_class'::regclass and objid = relation and deptype = 'i')
    )
select object, string_agg(definition, e'\n' order by part, place, definition collate "C") as definition
from described
group by object
order by object collate "C"
