# Environments.pm: what the tests of environments share: a server with the extension, and three stages with data.
package Environments;

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Exporter 'import';

our @EXPORT = qw(make_stages fingerprint change_data);

# One entity of two sources in dev, test and prod; prod shows what dev proved. With a version, the extension is of that.
sub make_stages
{
	my ($node, $records, $version) = @_;
	$records //= 200;
	my $of_version = defined $version ? "VERSION '$version'" : '';
	$node->safe_psql('postgres', qq{
		SET client_min_messages = error;
		CREATE EXTENSION mastering $of_version;
		CREATE SCHEMA input;
		CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '\@example.org' AS email, '1960-01-01'::date + i AS born FROM generate_series(1, $records) i;
		CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '\@example.org' AS email FROM generate_series($records / 2, $records * 3 / 2) i;
		SELECT mastering.create_environment('dev');
		SELECT mastering.create_environment('test', 'dev');
		SELECT mastering.create_environment('prod', 'test');
		SELECT mastering.define_entity('dev', 'person', '{"name": "text", "email": "text", "born": "date"}');
		SELECT mastering.map_source('dev', 'person', 'crm', 'input.crm', 'id');
		SELECT mastering.map_source('dev', 'person', 'shop', 'input.shop', 'no');
		SELECT mastering.set_blocking('dev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]');
		SELECT mastering.set_comparisons('dev', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
		SELECT count(*) FROM mastering.load('dev', 'person');
		SELECT mastering.train('dev', 'person');
		SELECT mastering.master('dev', 'person');
		SELECT mastering.add_check('dev', 'person', 'has a name', 'SELECT id FROM person WHERE name IS NULL');
		SELECT mastering.promote('dev', 'test', 'first');
		SELECT mastering.promote('test', 'prod', 'first');
	});
	return;
}

# A data change of each kind.
sub change_data
{
	my ($node, $seed) = @_;
	$node->safe_psql('postgres', qq{
		INSERT INTO input.crm VALUES (100000 + $seed, 'New $seed', 'new$seed\@example.org', NULL);
		UPDATE input.crm SET born = born + 1 WHERE id = 1 + $seed % 50;
		DELETE FROM input.shop WHERE no = 'N' || (100 + $seed % 90);
	});
	return;
}

# All that a stage shows and the hash of what it is: equal before and after means equal.
sub fingerprint
{
	my ($node, $stage) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT mastering.state_hash(mastering.current_state('$stage'));
		SELECT count(*), sum(records), md5(string_agg(p::text, ',' ORDER BY id)) FROM $stage.person p;
		SELECT count(*), md5(string_agg(r::text, ',' ORDER BY source, record_key)) FROM $stage.person_records r;
		SELECT count(*), md5(string_agg(l::text, ',' ORDER BY id, attribute)) FROM $stage.person_lineage l;
		SELECT count(*), md5(string_agg(h::text, ',' ORDER BY id, event)) FROM $stage.person_history h;
	});
}

1;
