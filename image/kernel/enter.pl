# First process of the sandbox: Perl of the pinned tools, run by the host's
# kernel from outside, with the root as working folder. It hides the host and
# becomes the program given in its arguments. System calls are those of
# arch/x86/entry/syscalls/syscall_64.tbl, flags those of include/uapi/linux/mount.h.
# It loads no module: Perl would look for it on the host.
my ($SYS_mount, $SYS_sethostname) = (165, 170);
my ($MS_BIND, $MS_REC, $MS_PRIVATE) = (0x1000, 0x4000, 0x40000);

# Numbers are copied, so that Perl passes them as numbers, and strings too, for
# it takes no constants where a system call could write.
sub call {
	my ($what, $number, @arguments) = @_;
	syscall($number, @arguments) == 0 or die "entering sandbox: $what: $!\n";
}
my ($none, $root, $null, $device, $name) = ("none", "/", "/dev/null", "dev/null", "safebox");
# What is mounted here stays here.
call("making mounts private", $SYS_mount, $none, $root, 0, $MS_REC | $MS_PRIVATE, 0);
call("binding /dev/null", $SYS_mount, $null, $device, 0, $MS_BIND, 0);
call("naming the machine", $SYS_sethostname, $name, length $name);
umask 022;
chroot "." or die "entering sandbox: changing root: $!\n";
chdir "/build" or die "entering sandbox: changing folder: $!\n";
exec { $ARGV[0] } @ARGV or die "entering sandbox: running $ARGV[0]: $!\n";
