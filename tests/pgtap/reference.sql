-- docs/reference.md is what the catalog says, on each version of the server; scripts/reference writes it.
BEGIN;
SELECT plan(3);

\set page `cat docs/reference.md`
\ir ../../scripts/reference.sql
CREATE TEMPORARY TABLE written AS SELECT :'page' AS page;

SELECT results_eq(
    $$SELECT number, line COLLATE "C" FROM written, regexp_split_to_table(page, '\n') WITH ORDINALITY AS line (line, number)$$,
    $$SELECT number, line COLLATE "C" FROM reference, regexp_split_to_table(page, '\n') WITH ORDINALITY AS line (line, number)$$,
    'docs/reference.md is what scripts/reference makes of the catalog');

-- A function that stands in no section would be found at the end, where nobody looks.
SELECT is_empty(
    $$SELECT name FROM reference_entry WHERE kind IN ('function', 'view')
      EXCEPT SELECT 'kanthorq_' || name FROM reference_section, regexp_split_to_table(names, ' ') AS name$$,
    'each function and view has a section');
SELECT is_empty(
    $$SELECT 'kanthorq_' || name FROM reference_section, regexp_split_to_table(names, ' ') AS name
      EXCEPT SELECT name FROM reference_entry$$,
    'and each name in a section is one that there is');

SELECT * FROM finish();
ROLLBACK;
