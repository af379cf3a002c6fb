# Matching in every kind of server encoding: single-byte, multi-byte, one without a conversion to Unicode, and bytes that are no text.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('encodings');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;

my %high = (
    LATIN1 => "chr(192 + g % 60)",
    LATIN2 => "convert_from(decode(to_hex(192 + g % 60), 'hex'), 'LATIN2')",
    WIN1251 => "chr(192 + g % 60)",
    EUC_JP => "convert_from(decode('b0' || to_hex(161 + g % 60), 'hex'), 'EUC_JP')",
    EUC_KR => "convert_from(decode('b0' || to_hex(161 + g % 60), 'hex'), 'EUC_KR')",
    MULE_INTERNAL => "convert_from(decode('81' || to_hex(192 + g % 60), 'hex'), 'MULE_INTERNAL')",
    # Not UTF-8 at all.
    SQL_ASCII => "convert_from(decode(to_hex(192 + g % 60) || 'ff', 'hex'), 'SQL_ASCII')",
    UTF8 => "chr(19968 + g % 60)",
);
for my $encoding (sort keys %high) {
    my $database = lc $encoding;
    $node->safe_psql('postgres', "CREATE DATABASE db_$database ENCODING '$encoding' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    is( $node->safe_psql("db_$database", <<"SQL"), "t\n60\nt\nt\nt", "values that are not ASCII, term frequencies and explanations in $encoding");
SET client_min_messages = error;
CREATE EXTENSION mastering;
CREATE TABLE p AS SELECT g AS id, $high{$encoding} || 'x' AS name, $high{$encoding} || g % 7 AS city, g % 13 AS number FROM generate_series(1, 400) AS g;
SELECT bool_and(get_byte(textsend(name), 0) > 127) FROM p;
CREATE TABLE m AS SELECT mastering.train_model('SELECT * FROM p', '{"normalize": "none", "blocking": ["name", "number"], "comparisons": [{"column": "name", "term_frequency": true}, {"column": "city", "term_frequency": true, "method": "exact"}, {"column": "number", "method": "exact"}]}') AS m;
SELECT count(*) FROM m, jsonb_object_keys(m #> '{comparisons,0,frequencies,values}');
SELECT count(*) > 100 AND bool_and(p.weight = (SELECT (array_agg(e.total))[count(*)] FROM mastering.explain_pair('SELECT * FROM p', m, id_a, id_b) AS e))
    FROM (SELECT * FROM m, mastering.match_pairs('SELECT * FROM p', m, 1e-9) LIMIT 200) AS p;
-- A value that was not found again in the model would be taken for a rare one, which weighs more than 2 bits.
SELECT count(*) > 0 AND bool_and(level = 'term frequency' AND weight < 1) FROM m, p AS a JOIN p AS b ON a.name = b.name AND a.id < b.id AND a.id < 5,
    mastering.explain_pair('SELECT * FROM p', m, a.id::text, b.id::text) AS e WHERE comparison = 'name' AND value_b IS NULL AND weight <> 0;
SELECT count(*) = 400 FROM mastering.dedupe('SELECT * FROM p');
SQL
    is( $node->safe_psql("db_$database", <<"SQL"), "400\nt\nt\n0", "an environment in $encoding");
SET client_min_messages = error;
SELECT mastering.create_environment('dev'), mastering.create_environment('test', 'dev') \\g /dev/null
SELECT mastering.define_entity('dev', 'place', '{"name": "text", "city": "text", "number": "int"}'), mastering.map_source('dev', 'place', 'p', 'public.p', 'id') \\g /dev/null
SELECT total FROM mastering.load('dev', 'place');
SELECT mastering.set_model('dev', 'place', m) FROM m \\g /dev/null
SELECT mastering.master('dev', 'place'), mastering.promote('dev', 'test') \\g /dev/null
SELECT count(*) > 0 AND bool_and(get_byte(textsend(name), 0) > 127) FROM test.place;
SELECT count(*) > 0 FROM p, mastering.lookup('test', 'place', to_jsonb(p) - 'id') WHERE p.id = 7;
SELECT count(*) FROM mastering.verify_snapshots(deep => true);
SQL
}

$node->stop;
done_testing();
