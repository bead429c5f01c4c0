-- The rules for subjects, filters, names and ids, and NATS matching.

-- Subjects: the documents' examples, word for word.
SELECT left(subject, 40) AS subject, kanthorq_is_subject(subject) FROM (VALUES
    ('order'),
    ('order.created'),
    ('v2.order.created'),
    ('058434268238.order.created'),
    ('-1002223543143.subscription.created'),
    ('ap-southeast-1.user.created')) AS correct (subject);
SELECT left(subject, 40) AS subject, kanthorq_is_subject(subject) FROM (VALUES
    ('order.'),
    ('order.-'),
    ('order..')) AS incorrect (subject);

-- Every rule on its own.
SELECT left(subject, 40) AS subject, kanthorq_is_subject(subject) FROM (VALUES
    ('a'), ('Z'), ('0'), ('-1'), ('1-'), ('a--b'), ('A.b.C'), ('1.2.3'),
    (repeat('a', 128)), (repeat('a.', 63) || 'bc')) AS valid (subject);
SELECT left(subject, 40) AS subject, kanthorq_is_subject(subject) FROM (VALUES
    (''), ('.'), ('..'), ('.a'), ('a..b'), ('-'), ('--'), ('a.--.b'), ('-.a'),
    ('*'), ('>'), ('a.*'), ('a.>'), ('a*'),
    ('_'), ('a_b'), ('a b'), (' a'), ('a '), (E'a\n'), (E'a\t'), ('a,b'), ('a/b'), ('a:b'), ('a$'),
    ('a"b'), (E'a\\b'), ('a''b'), (E'a\x01'), (E'a\x7f'), ('a@b'), ('a[b'), ('a`b'), ('a{b'),
    (repeat('a', 129)), (repeat('a.', 64) || 'b')) AS invalid (subject);
-- Letters and digits are those of ASCII: not their accented, Greek, Cyrillic, full-width, Arabic or
-- combining relatives, and not other hyphens or dots.
SELECT what, kanthorq_is_subject(character), kanthorq_is_subject_filter(character),
    kanthorq_is_name(character)
FROM (VALUES
    ('e with acute', U&'caf\00E9'), ('sharp s', U&'stra\00DFe'), ('alpha', U&'\03B1'),
    ('Cyrillic a', U&'\0430'), ('full-width a', U&'\FF41'), ('Arabic digit one', U&'\0661'),
    ('combining acute', U&'a\0301'), ('hyphen of two bytes', U&'a\2010b'),
    ('full-width dot', U&'a\FF0Eb'), ('emoji', U&'\+01F600'), ('no-break space', U&'a\00A0b'),
    ('zero-width space', U&'\200Ba')) AS invalid (what, character);
-- Long values of two bytes a character.
SELECT kanthorq_is_subject(repeat(U&'\00E9', 128)), kanthorq_is_subject(repeat('a', 1000000));

-- Filters: a subject in which a token may be * and the last may be >.
SELECT left(filter, 40) AS filter, kanthorq_is_subject_filter(filter) FROM (VALUES
    ('>'), ('*'), ('*.*'), ('*.>'), ('order.>'), ('order.*'), ('*.created'), ('order.*.created'),
    ('order.*.>'), ('order.created'), ('-1002223543143.*'), ('*.*.*.>'),
    (repeat('*.', 63) || 'aa'), (repeat('a', 128))) AS valid (filter);
SELECT left(filter, 40) AS filter, kanthorq_is_subject_filter(filter) FROM (VALUES
    (''), ('.'), ('>.'), ('.>'), ('>.>'), ('>.a'), ('a.>.b'), ('>.*'), ('**'), ('>>'), ('*>'),
    ('a*'),
    ('*a'), ('a.b*'), ('a>'), ('a.>b'), ('a.*b.c'), ('a..>'), ('a.*.'), ('-'), ('-.>'), ('a.-'),
    ('a_b.>'),
    ('order.#'), ('order.%'), (' >'), (E'>\n'), (repeat('*.', 64) || '*'),
    (repeat('a', 129))) AS invalid (filter);

-- Matching: what NATS' documentation shows.
SELECT left(subject, 40) AS subject, filter, kanthorq_subject_matches(subject, filter) FROM (VALUES
    ('time.us.east', 'time.us.east'),
    ('time.us.east', 'time.*.east'),
    ('time.eu.east', 'time.*.east'),
    ('time.us.east', 'time.us.*'),
    ('time.us', 'time.us.*'),
    ('time.us.east.atlanta', 'time.us.*'),
    ('time.us.east', 'time.us.>'),
    ('time.us.east.atlanta', 'time.us.>'),
    ('time.us', 'time.us.>'),
    ('time.us.east', '>'),
    ('time', '>'),
    ('time', '*'),
    ('time.us', '*'),
    ('time.us.east', '*.*.east'),
    ('time.new.east', '*.*.east'),
    ('time.us.east.atlanta', '*.*.east.>'),
    ('time.us.east', '*.*.east.>'),
    -- case counts, and so do whole tokens
    ('time.us', 'Time.us'),
    ('timer.us', 'time.*'),
    ('time', 'timer'),
    ('timer', 'time'),
    -- false where either is invalid
    ('time.*', 'time.*'),
    ('time.>', '>'),
    ('time.', '>'),
    ('', '>'),
    ('time', ''),
    ('time.us', 'time.>.us'),
    ('time.us', 'time.u*'),
    (repeat('a', 129), '>')) AS pair (subject, filter);

-- Matching, compared with regular expressions over all subjects and filters of up to four tokens.
WITH RECURSIVE subjects (subject, tokens) AS (
    SELECT token, 1 FROM unnest(ARRAY['a', 'b', 'aa', '-1']) AS token
    UNION ALL
    SELECT subject || '.' || token, tokens + 1
    FROM subjects, unnest(ARRAY['a', 'b', 'aa', '-1']) AS token WHERE tokens < 4
), filters (filter, tokens) AS (
    SELECT token, 1 FROM unnest(ARRAY['a', 'aa', '*', '>']) AS token
    UNION ALL
    SELECT filter || '.' || token, tokens + 1
    FROM filters, unnest(ARRAY['a', 'aa', '*', '>']) AS token WHERE tokens < 4 AND filter !~ '>$'
), compared AS (
    SELECT kanthorq_subject_matches(subject, filter) AS found,
        subject ~ ('^' || replace(replace(replace(filter, '.', '[.]'), '*', '[^.]+'), '>', '.+')
            || '$')
            AS wanted
    FROM subjects, filters
)
SELECT count(*) AS pairs, count(*) FILTER (WHERE wanted) AS matching,
    count(*) FILTER (WHERE found IS DISTINCT FROM wanted) AS mistakes
FROM compared;

-- Names of streams and consumers.
SELECT left(name, 40) AS name, kanthorq_is_name(name) FROM (VALUES
    ('a'), ('Z'), ('0'), ('order_notification'), ('order_update'), ('1_2_3'), ('Order'), ('a1_B2'),
    (repeat('a', 128)), (repeat('a_', 63) || 'bc')) AS valid (name);
SELECT left(name, 40) AS name, kanthorq_is_name(name) FROM (VALUES
    (''), ('_'), ('_a'), ('a_'), ('a__b'), ('a___b'), ('a.b'), ('a-b'), ('a b'), (' a'), ('a '),
    (E'a\n'),
    ('a"b'), ('a;b'), ('$x'), ('a''b'), (E'a\\b'), ('a/b'), ('*'), ('>'), ('a@'), ('a['), ('a`'),
    ('a{'), ('a:'),
    (repeat('a', 129)), (repeat('a_', 64) || 'b')) AS invalid (name);

-- ULIDs, in any case: the example of the ULID specification, and the ends of the range.
SELECT id, kanthorq_is_ulid(id) FROM (VALUES
    ('01ARZ3NDEKTSV4RRFFQ69G5FAV'), ('01arz3ndektsv4rrffq69g5fav'), ('01Arz3NDEKTSV4RRFFQ69G5FaV'),
    ('00000000000000000000000000'), ('7ZZZZZZZZZZZZZZZZZZZZZZZZZ'), ('7zzzzzzzzzzzzzzzzzzzzzzzzz'))
    AS valid (id);
SELECT id, kanthorq_is_ulid(id) FROM (VALUES
    (''), ('80000000000000000000000000'), ('ZZZZZZZZZZZZZZZZZZZZZZZZZZ'),
    ('8ZZZZZZZZZZZZZZZZZZZZZZZZZ'),
    ('01ARZ3NDEKTSV4RRFFQ69G5FA'), ('01ARZ3NDEKTSV4RRFFQ69G5FAVA'),
    ('01ARZ3NDEKTSV4RRFFQ69G5FAI'), ('01ARZ3NDEKTSV4RRFFQ69G5FAL'), ('01ARZ3NDEKTSV4RRFFQ69G5FAO'),
    ('01ARZ3NDEKTSV4RRFFQ69G5FAU'), ('O1ARZ3NDEKTSV4RRFFQ69G5FAV'), ('01ARZ3NDEKTSV4RRFFQ69G5FA-'),
    (' 01ARZ3NDEKTSV4RRFFQ69G5FAV'), (E'01ARZ3NDEKTSV4RRFFQ69G5FAV\n'),
    (U&'01ARZ3NDEKTSV4RRFFQ69G5F\00E9'), ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')) AS invalid (id);

-- UUIDv7, in any case: the example of RFC 9562 (appendix A.6), then its other versions and variants.
SELECT id, kanthorq_is_uuidv7(id) FROM (VALUES
    ('017F22E2-79B0-7CC3-98C4-DC0C0C07398F'), ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f'),
    ('017f22e2-79b0-7cc3-88c4-dc0c0c07398f'), ('017f22e2-79b0-7cc3-a8c4-dc0c0c07398f'),
    ('017f22e2-79b0-7cc3-b8c4-dc0c0c07398f'), ('00000000-0000-7000-8000-000000000000'),
    ('ffffffff-ffff-7fff-bfff-ffffffffffff')) AS valid (id);
SELECT id, kanthorq_is_uuidv7(id) FROM (VALUES
    ('C232AB00-9414-11EC-B3C8-9F6BDECED846'), ('5df41881-3aed-3515-88a7-2f4a814cf09e'),
    ('919108f7-52d1-4320-9bac-f847db4148a8'), ('2ed6657d-e927-568b-95e1-2665a8aea6a2'),
    ('1EC9414C-232A-6B00-B3C8-9F6BDECED846'), ('2489E9AD-2EE2-8E00-8EC9-32D5F69181C0'),
    ('00000000-0000-0000-0000-000000000000'), ('ffffffff-ffff-ffff-ffff-ffffffffffff'),
    ('017f22e2-79b0-7cc3-78c4-dc0c0c07398f'), ('017f22e2-79b0-7cc3-c8c4-dc0c0c07398f'),
    (''), ('017f22e279b07cc398c4dc0c0c07398f'), ('{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}'),
    ('017f22e2-79b0-7cc3-98c4-dc0c0c07398'), ('017f22e2-79b0-7cc3-98c4-dc0c0c07398ff'),
    ('017f22e2-79b0-7cc3-98c4-dc0c0c07398g'), ('017f22e279b0-7cc3-98c4-dc0c-0c07398f'),
    ('017f22e2-79b0-7cc3-98c4_dc0c0c07398f'), (E'017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n'))
    AS invalid (id);

-- Event ids: one spelling of each form, so that all of them sort in one order.
SELECT id, kanthorq_is_event_id(id) FROM (VALUES
    ('01ARZ3NDEKTSV4RRFFQ69G5FAV'), ('7ZZZZZZZZZZZZZZZZZZZZZZZZZ'),
    ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f'),
    ('event_01arz3ndektsv4rrffq69g5fav'), ('a_01arz3ndektsv4rrffq69g5fav'),
    ('order_update_01arz3ndektsv4rrffq69g5fav'), ('v2_01arz3ndektsv4rrffq69g5fav'),
    ('order_v2_x3_01arz3ndektsv4rrffq69g5fav'),
    ('event_7zzzzzzzzzzzzzzzzzzzzzzzzz'),
    ('user_2x4y6z8a0b1c2d3e4f5g6h7j8k'),
    (repeat('p', 37) || '_01arz3ndektsv4rrffq69g5fav')) AS valid (id);
SELECT id, kanthorq_is_event_id(id) FROM (VALUES
    (''), ('_'), ('x'), ('42'),
    ('01arz3ndektsv4rrffq69g5fav'), ('01ARZ3NDEKTSV4RRFFQ69G5FAv'), ('80000000000000000000000000'),
    ('017F22E2-79B0-7CC3-98C4-DC0C0C07398F'), ('017f22e2-79b0-7cc3-98c4-dc0c0c07398F'),
    ('919108f7-52d1-4320-9bac-f847db4148a8'),
    ('event_01ARZ3NDEKTSV4RRFFQ69G5FAV'), ('Event_01arz3ndektsv4rrffq69g5fav'),
    ('EVENT_01ARZ3NDEKTSV4RRFFQ69G5FAV'), ('event_80000000000000000000000000'),
    ('event_01arz3ndektsv4rrffq69g5fau'), ('event_01arz3ndektsv4rrffq69g5fa'),
    ('event-01arz3ndektsv4rrffq69g5fav'), ('event01arz3ndektsv4rrffq69g5fav'),
    ('_01arz3ndektsv4rrffq69g5fav'), ('event__01arz3ndektsv4rrffq69g5fav'),
    ('_event_01arz3ndektsv4rrffq69g5fav'), ('2v_01arz3ndektsv4rrffq69g5fav'),
    ('event_2_01arz3ndektsv4rrffq69g5fav'), ('event_0b_01arz3ndektsv4rrffq69g5fav'),
    ('e-v_01arz3ndektsv4rrffq69g5fav'), ('e.v_01arz3ndektsv4rrffq69g5fav'),
    (U&'\00E9v_01arz3ndektsv4rrffq69g5fav'), (' event_01arz3ndektsv4rrffq69g5fav'),
    ('event_017f22e2-79b0-7cc3-98c4-dc0c0c07398f'), ('event_01arz3ndektsv4rrffq69g5fav '),
    (E'01ARZ3NDEKTSV4RRFFQ69G5FAV\n'),
    (repeat('p', 38) || '_01arz3ndektsv4rrffq69g5fav')) AS invalid (id);

-- Null has no answer.
SELECT kanthorq_is_name(NULL), kanthorq_is_subject(NULL), kanthorq_is_subject_filter(NULL),
    kanthorq_subject_matches(NULL, '>'), kanthorq_subject_matches('a', NULL),
    kanthorq_is_ulid(NULL), kanthorq_is_uuidv7(NULL), kanthorq_is_event_id(NULL);
