# kill -9 of the backend, and of the whole server, at random moments of fork, merge, restore, candidate, publish, compaction and
# garbage collection: every environment reads as it did before the call or as it does after it, nothing is left that nothing
# names, the same call works afterwards.
#
#   MASTERING_SEED=42    the same moments once more
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Environments;

my $seed = $ENV{MASTERING_SEED} // int(time);
srand $seed;
note("MASTERING_SEED=$seed");
my $node = PostgreSQL::Test::Cluster->new('forks');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nfsync = off\nlog_min_messages = warning\n");
$node->start;
make_stages($node, 300);

sub sql { return $node->safe_psql('postgres', "SET client_min_messages = error; $_[0]"); }
# What an environment is, but for who made which snapshot when; nothing where it is not there.
sub state_of { return $node->safe_psql('postgres', "SELECT mastering.state_hash(mastering.current_state('$_[0]'))"); }
sub all_states { return $node->safe_psql('postgres', q{SELECT string_agg(e.name || ' ' || mastering.state_hash(mastering.current_state(e.name)), ', ' ORDER BY e.name) FROM mastering.environment e}); }
# All that its views show, and what is said of the environment itself.
sub shown { return fingerprint($node, $_[0]); }

# name => what comes before it, the call, what is seen of it ('before' and 'after' must differ), what takes it back.
my @steps = (
	{ name => 'fork', before => '', call => q{SELECT mastering.fork_environment('prod', 'sandbox', ttl => '1 day')}, seen => q{SELECT count(*) FROM mastering.environment WHERE name = 'sandbox'}, looks_like => 'prod', shows => 'sandbox',
	  undo => q{SELECT mastering.drop_environment('sandbox')} },
	{ name => 'drop', before => q{SELECT mastering.fork_environment('prod', 'gone')}, call => q{SELECT mastering.drop_environment('gone')}, seen => q{SELECT count(*) FROM mastering.environment WHERE name = 'gone'}, undo => '' },
	{ name => 'merge', before => q{SELECT mastering.fork_environment('dev', 'ann'); SELECT mastering.set_survivorship('ann', 'person', '{"default": "shortest"}'); SELECT mastering.master('ann', 'person')},
	  call => q{SELECT mastering.promote('ann', 'dev')}, seen => q{SELECT mastering.artifact_at(tree, 'entity/person/survivorship') ->> 'default' FROM mastering.configuration WHERE environment = 'dev'}, looks_like => 'ann', shows => 'dev',
	  undo => q{SELECT mastering.rollback('dev'); SELECT mastering.release_hold('dev', max(release_id)) FROM mastering.releases WHERE target = 'dev' AND state = 'rolled back'}, always => q{SELECT mastering.drop_environment('ann')} },
	{ name => 'restore', before => q{SELECT mastering.set_survivorship('dev', 'person', '{"default": "longest"}'); SELECT mastering.master('dev', 'person'); SELECT mastering.promote('dev', 'test')},
	  call => q{SELECT mastering.restore('test', 'prod')}, seen => q{SELECT coalesce(mastering.artifact_at(tree, 'entity/person/survivorship') ->> 'default', 'none') FROM mastering.configuration WHERE environment = 'test'}, looks_like => 'prod', shows => 'test', undo => '',
	  always => q{SELECT mastering.restore('test', 'prod'); SELECT mastering.set_survivorship('dev', 'person', '{"default": "shortest"}')} },
	{ name => 'candidate', before => q{SELECT count(*) FROM mastering.load('dev', 'person')}, changes => 1, call => q{SELECT mastering.candidate('dev', 'tried')}, seen => q{SELECT count(*) FROM mastering.candidate WHERE name = 'tried'},
	  undo => q{SELECT mastering.drop_candidate('dev', 'tried')} },
	{ name => 'publish', before => q{SELECT count(*) FROM mastering.load('dev', 'person'); SELECT mastering.candidate('dev', 'tried')}, changes => 1, call => q{SELECT mastering.publish('dev', 'tried')},
	  seen => q{SELECT versions -> 'person' ->> 'hash' FROM mastering.head WHERE environment = 'dev'}, undo => '', always => q{SELECT mastering.drop_candidate('dev', c.name) FROM mastering.candidate c WHERE c.environment = 'dev' AND c.name = 'tried'} },
	{ name => 'compact', before => q{SELECT count(*) FROM mastering.load('dev', 'person'); SELECT mastering.master('dev', 'person')}, changes => 1, call => q{SELECT count(*) FROM mastering.compact('dev', everything => true)},
	  seen => q{SELECT md5(versions::text) FROM mastering.head WHERE environment = 'dev'}, reads_same => 'dev', undo => '' },
	{ name => 'gc', before => q{SELECT count(*) FROM mastering.load('dev', 'person'); SELECT mastering.master('dev', 'person')}, changes => 1, call => q{SELECT count(*) FROM mastering.gc(false, keep => 1, keep_for => '0', keep_unused => '0')},
	  seen => q{SELECT count(*) FROM mastering.gc(keep => 1, keep_for => '0', keep_unused => '0') WHERE what = 'segment'}, reads_same => 'dev', undo => '' });

my ($change, $stopped, $came_through) = (0, 0, 0);
foreach my $step (@steps)
{
	my $takes;
	my ($before_count, $after_count, @wrong) = (0, 0);
	foreach my $try (0 .. 5)
	{
		change_data($node, 100 + ++$change) if $step->{changes};
		sql($step->{before}) if $step->{before};
		my $seen_before = sql($step->{seen});
		my $states_before = all_states();
		my $reads_before = $step->{reads_same} ? shown($step->{reads_same}) : '';
		my $done;
		if ($try == 0)    # how long it takes
		{
			my $began = time;
			sql($step->{call});
			$takes = time - $began;
			$done = 1;
		}
		else
		{
			# A backend in four of five, all of the server in one; from the beginning to a little beyond the end.
			$done = killed($node, $step->{call}, int(1e6 * $takes * (0.05 + rand 1.1)), $try == 3);
			$done ? $came_through++ : $stopped++;
		}
		my $seen_after = sql($step->{seen});
		my $happened = $seen_after ne $seen_before;
		$happened ? $after_count++ : $before_count++;
		push @wrong, "try $try: the call came through and nothing happened" if $done && !$happened && $step->{name} ne 'gc';
		push @wrong, "try $try: nothing happened, and states are others" if !$happened && $step->{name} !~ /^(compact|gc)$/ && all_states() ne $states_before;
		if ($step->{reads_same})
		{
			my ($one, $other) = map { s/^\w+\n//r } $reads_before, shown($step->{reads_same});
			push @wrong, "try $try: it reads otherwise" if $one ne $other;
		}
		push @wrong, "try $try: $_" foreach split /\n/, storage_faults($node);
		# The same call works now, if it did nothing.
		sql($step->{call}) unless $happened;
		if ($step->{looks_like})
		{
			my ($one, $other) = map { $node->safe_psql('postgres', "SELECT count(*), md5(string_agg(p::text, ',' ORDER BY id)) FROM $step->{$_}.person p") } qw(looks_like shows);
			push @wrong, "try $try: $step->{shows} does not show what $step->{looks_like} does" if $one ne $other;
		}
		push @wrong, "try $try, afterwards: $_" foreach split /\n/, storage_faults($node);
		sql($step->{undo}) if $step->{undo};
		sql($step->{always}) if $step->{always};
	}
	is("@wrong", '', sprintf('%s, killed at random: before %d times, after %d times, never between', $step->{name}, $before_count, $after_count - 1));
}
ok($stopped > 0, "some calls were stopped ($stopped), others came through ($came_through)");

# Nothing is left over: what was begun and not finished is no more, and collected is all that nothing names.
sql(q{SELECT count(*) FROM mastering.gc(false, keep => 0, keep_for => '0', keep_unused => '0')}) foreach 1 .. 2;
is(sql(q{SELECT count(*) FROM mastering.gc(keep => 0, keep_for => '0', keep_unused => '0') WHERE what NOT IN ('fork')}), '0', 'garbage collection finds nothing after itself');
is(sql(q{SELECT count(*) FROM mastering.storage() WHERE held = 'nothing'}), '0', 'no segment that nothing names');
is(storage_faults($node), '', 'no orphans');
is(sql(q{SELECT count(*) FROM mastering.verify_snapshots(deep => true)}), '0', 'every hash is what it was');
is(sql(q{SELECT string_agg(name, ' ' ORDER BY name) FROM mastering.environment}), 'dev prod test', 'no environment is left over');
is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname ~ '^(sandbox|gone|ann|dev_tried)'}), '0', 'no schema is left over');
$node->stop;
done_testing();
