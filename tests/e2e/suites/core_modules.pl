#!/usr/bin/perl
# What perl's core modules do with files, processes, signals, sockets and threads; judged by Test::More.
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(getcwd abs_path);
use Data::Dumper;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode encode);
use Errno qw(EACCES EAGAIN EEXIST ENOENT);
use Fcntl qw(:DEFAULT :flock :mode SEEK_END);
use File::Copy qw(copy move);
use File::Find;
use File::Path qw(make_path remove_tree);
use File::Spec::Functions qw(catfile rel2abs);
use File::Temp qw(tempdir tempfile);
use IO::Handle;
use IO::Select;
use IPC::Open3;
use List::Util qw(shuffle sum);
use POSIX qw(:sys_wait_h :signal_h dup2 mkfifo setsid ttyname uname);
use Socket;
use Storable qw(dclone freeze thaw);
use Sys::Hostname;
use Test::More;
use Tie::File;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep ualarm);
use threads;
use threads::shared;
use Thread::Queue;

my $folder = tempdir(CLEANUP => 1);
chdir $folder or die;

# Files and folders.
make_path('a/b/c', 'a/d');
open my $out, '>', 'a/b/one' or die;
print $out "line $_\n" for 1 .. 5000;
close $out;
is(-s 'a/b/one', 48893, 'a file has its size');
ok(copy('a/b/one', 'a/d/two'), 'copied');
ok(move('a/d/two', 'a/three'), 'moved');
is(sha256_hex(do { local (@ARGV, $/) = ('a/three'); <> }), sha256_hex(join '', map { "line $_\n" } 1 .. 5000), 'the same bytes');
symlink '../three', 'a/b/link' or die;
is(readlink 'a/b/link', '../three', 'a link says where');
is(abs_path('a/b/link'), catfile(getcwd(), 'a/three'), 'and leads there');
link 'a/three', 'a/four' or die;
is((stat 'a/four')[3], 2, 'two names');
my @found;
find({wanted => sub { push @found, $File::Find::name }, no_chdir => 1}, 'a');
is("@{[sort @found]}", 'a a/b a/b/c a/b/link a/b/one a/d a/four a/three', 'everything is found');
ok(!mkdir('a') && $! == EEXIST, 'EEXIST');
ok(!open(my $none, '<', 'none') && $! == ENOENT, 'ENOENT');
ok(!sysopen(my $again, 'a/four', O_RDWR | O_CREAT | O_EXCL) && $! == EEXIST, 'O_EXCL');
chmod 0640, 'a/four';
utime 1_000_000_000, 1_000_000_001, 'a/four';
my @status = stat 'a/four';
is(S_IMODE($status[2]), 0640, 'the mode');
is("@status[8, 9]", '1000000000 1000000001', 'the times');
truncate 'a/four', 6;
is(do { local (@ARGV, $/) = ('a/three'); <> }, 'line 1', 'cut short');
tie my @lines, 'Tie::File', 'a/b/one' or die;
splice @lines, 1, 4997, 'middle';
untie @lines;
is(do { local (@ARGV, $/) = ('a/b/one'); <> }, "line 1\nmiddle\nline 4999\nline 5000\n", 'lines in the middle of a file');
remove_tree('a');
ok(!-e 'a', 'all gone');

# Processes, pipes, status.
is(`echo out; echo err 2>/dev/null >&2; exit 3`, "out\n", 'what a shell says');
is($? >> 8, 3, 'and its status');
my $child = fork;
if ($child == 0) { kill 'KILL', $$; sleep 10 }
is(waitpid($child, 0), $child, 'waited');
is($? & 127, SIGKILL, 'killed');
is(waitpid(-1, WNOHANG), -1, 'no child is left');
my $cat = open3(my $to, my $from, undef, 'cat');
print $to "through cat $_\n" for 1 .. 3;
close $to;
is(join('', <$from>), "through cat 1\nthrough cat 2\nthrough cat 3\n", 'there and back');
waitpid $cat, 0;
my @pids = map { my $n = $_; my $pid = fork; exit $n if $pid == 0; $pid } 1 .. 20;
is(sum(map { waitpid $_, 0; $? >> 8 } shuffle @pids), 210, 'twenty children');
my $sorted = open my $sort, '-|', 'printf "%s\n" c a b | sort' or die;
is(join('', <$sort>), "a\nb\nc\n", 'a pipe of two');
close $sort;

# Signals.
my $caught = 0;
local $SIG{USR1} = sub { ++$caught };
kill 'USR1', $$ for 1 .. 3;
is($caught, 3, 'signals caught');
my $set = POSIX::SigSet->new(SIGUSR1);
sigprocmask(SIG_BLOCK, $set);
kill 'USR1', $$;
is($caught, 3, 'held back');
my $pending = POSIX::SigSet->new;
sigpending($pending);
ok($pending->ismember(SIGUSR1), 'and pending');
sigprocmask(SIG_UNBLOCK, $set);
is($caught, 4, 'until it may');
my $reason = eval { local $SIG{ALRM} = sub { die "alarm\n" }; ualarm 20_000; sleep 30; 'none' };
is($@, "alarm\n", 'an alarm ends a sleep');
my $before = clock_gettime(CLOCK_MONOTONIC);
sleep 0.02;
cmp_ok(clock_gettime(CLOCK_MONOTONIC) - $before, '>=', 0.02, 'a sleep lasts');

# Descriptors, fifos, sockets, locks.
mkfifo('fifo', 0600) or die;
if (!(my $writer = fork)) { open my $end, '>', 'fifo' or die; print $end 'by name'; close $end; POSIX::_exit(0) }
open my $fifo, '<', 'fifo' or die;
is(<$fifo>, 'by name', 'a fifo');
wait;
socketpair my $left, my $right, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
my $select = IO::Select->new($right);
is(scalar($select->can_read(0)), undef, 'nothing to read yet');
if (!fork) { syswrite $left, "x" x 70000; POSIX::_exit(0) }
my $got = 0;
while ($got < 70000) { my $count = sysread $right, my $buffer, 8192; last if !$count; $got += $count }
is($got, 70000, 'more than a socket holds');
wait;
$right->blocking(0);
ok(!defined sysread($right, my $rest, 1) && $! == EAGAIN, 'EAGAIN');
socket my $server, AF_UNIX, SOCK_STREAM, 0 or die;
bind $server, pack_sockaddr_un('here') or die;
listen $server, 5 or die;
if (!fork) {
    socket my $client, AF_UNIX, SOCK_STREAM, 0 or die;
    connect $client, pack_sockaddr_un('here') or die;
    syswrite $client, "hello from a child";
    POSIX::_exit(0);
}
accept my $connection, $server or die;
is(<$connection>, 'hello from a child', 'a connection');
wait;
open my $locked, '>', 'lock' or die;
ok(flock($locked, LOCK_EX), 'a lock');
if (!(my $other = fork)) { open my $same, '>', 'lock'; POSIX::_exit(flock($same, LOCK_EX | LOCK_NB) ? 1 : 0) }
wait;
is($?, 0, 'keeps others out');
open my $kept, '>&', \*STDOUT or die;
open STDOUT, '>', 'captured' or die;
print "not shown\n";
system 'echo nor this';
open STDOUT, '>&', $kept or die;
is(do { local (@ARGV, $/) = ('captured'); <> }, "not shown\nnor this\n", 'output goes elsewhere and comes back');

# Threads.
my $total : shared = 0;
my $queue = Thread::Queue->new(1 .. 400);
$queue->end;
$_->join for map { threads->create(sub { while (defined(my $n = $queue->dequeue)) { lock $total; $total += $n } }) } 1 .. 4;
is($total, 80200, 'four threads and a queue');
is(threads->create(sub { chdir '/'; getcwd() })->join, '/', 'a thread returns something');

# The language, with some memory.
my %words;
++$words{$_ % 997} for 1 .. 200_000;
is(scalar keys %words, 997, 'a hash');
is(sum(values %words), 200_000, 'of counts');
my $text = join ' ', map { "word$_" } 1 .. 20_000;
is(scalar(() = $text =~ /\bword(\d*7)\b/g), 2000, 'a pattern');
is(thaw(freeze({list => [1 .. 1000]}))->{list}[999], 1000, 'stored and fetched');
is(length encode('UTF-8', decode('iso-8859-1', "gr\xfc\xdfe")), 7, 'encodings');
is(Data::Dumper->new([{a => [1, 2]}])->Indent(0)->Sortkeys(1)->Terse(1)->Dump, "{'a' => [1,2]}", 'a dump');
is((uname())[0], 'Linux', 'uname');
ok(length hostname(), 'a name of the host');
is("@{[sort { $a <=> $b } map { $_ * 7919 % 10007 } 1 .. 5]}", '1655 3743 5831 7919 9574', 'sorted');

chdir '/';
done_testing();
