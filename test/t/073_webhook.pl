# What environments announce reaches a webhook: in order, after a failure of the webhook and after one of the server.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Environments;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs python3' if system('python3 -c "" >/dev/null 2>&1') != 0;

my $node = PostgreSQL::Test::Cluster->new('webhook');
$node->init;
$node->start;
make_stages($node, 50);

# A webhook that writes down what it is told; its first answer is that it has no time.
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, ReuseAddr => 1) or die "no socket: $!";
my $port   = $server->sockport;
my $log    = $node->basedir . '/posts';
append_to_file($log, '');
my $webhook = fork();
die 'cannot fork' unless defined $webhook;
if ($webhook == 0)
{
	my $busy = 1;
	while (my $client = $server->accept)
	{
		my ($length, $body) = (0, '');
		while (my $line = <$client>)
		{
			$length = $1 if $line =~ /^Content-Length: (\d+)/i;
			last if $line =~ /^\r?$/;
		}
		read($client, $body, $length);
		print $client $busy ? "HTTP/1.0 503 Busy\r\n\r\n" : "HTTP/1.0 200 OK\r\n\r\nok";
		append_to_file($log, "$body\n") unless $busy;
		$busy = 0;
		close $client;
	}
	exit 0;
}

my ($program) = grep { -x } map { "$FindBin::RealBin/$_/contrib/notify_webhook/mastering-notify" } ('..', '../..');
my $errors  = $node->basedir . '/notify.err';
append_to_file($errors, '');    # it may be read before the program has opened it
my $notify  = fork();
if ($notify == 0)
{
	$ENV{MASTERING_WEBHOOK} = "http://127.0.0.1:$port/services/secret";
	open STDERR, '>', $errors;
	exec $program, '--interval', '0.2', '--', '-d', $node->connstr('postgres');
	exit 1;
}

sub wait_for
{
	my ($file, $pattern, $what) = @_;
	for (1 .. 300)
	{
		return ok(1, $what) if slurp_file($file) =~ $pattern;
		select undef, undef, undef, 0.2;
	}
	diag slurp_file($file) . slurp_file($errors);
	return ok(0, $what);
}

wait_for($errors, qr/listening/, 'the forwarder listens');
$node->safe_psql('postgres', q{SELECT mastering.promote('dev', 'test', 'again')});
wait_for($log, qr/\{"text": "[^\n]*\*test\*: promote \(source dev, release_id \d+\)"\}/, 'a promotion is posted, although the webhook was busy at first');
my ($rc, $out, $err) = $node->psql('postgres', q{
	SELECT mastering.add_check('dev', 'person', 'fails <!channel>', 'SELECT id FROM person');
	SELECT mastering.promote('dev', 'test')});
wait_for($log, qr/\*test\*: promote failed[^\n]*\\n> environment \\"test\\" is stopped by 1 failed check/, 'a failed one, too');
unlike(slurp_file($log), qr/"audit"|: run/, 'what was not asked for is not posted');

$node->restart;
wait_for($errors, qr/listening.*the connection ended.*listening/s, 'the forwarder comes back after the server does');
$node->safe_psql('postgres', q{SELECT mastering.rollback('test', reason => 'wrong')});
wait_for($log, qr/\*test\*: rollback/, 'and goes on posting');
$node->safe_psql('postgres', q{SELECT pg_notify('mastering', 'no JSON'), pg_notify('mastering', '{"event": "reject", "environment": "<!channel> & co"}')});
wait_for($log, qr/\*&lt;!channel&gt; &amp; co\*: reject/, 'nothing in a line becomes markup, and what is no JSON stops nothing');
unlike(slurp_file($errors), qr/secret/, 'the URL is told nobody');

kill 'TERM', $notify;
waitpid $notify, 0;
is($? >> 8, 0, 'it ends when told to');
kill 'TERM', $webhook;
waitpid $webhook, 0;
done_testing();
