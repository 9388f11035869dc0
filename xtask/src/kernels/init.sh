#!/bin/busybox sh
# The first program of a virtual machine: makes it look like a machine, runs the checks named in $CHECKS (which the
# kernel has from its command line), and turns it off. What is said about a check starts with `@@`.

# Each check is a run of this script of its own, so that it can be given a limit.
act() {
	/bin/cat /etc/shadow
}

saw() {
	for i in $(seq 600); do
		grep -q "$2" "$1" && return 0
		sleep 0.1
	done
	echo "no \"$2\" in $1:"
	cat "$1"
	return 1
}

program() {
	cd /tmp
	printf 'engine: {kind: modern_ebpf}\nstdout_output: {enabled: true}\nlog_stderr: true\nlog_syslog: false\n' >falco.yaml
	cat >rules.yaml <<-END
	- rule: Shadow read
	  desc: A program reads the file of passwords.
	  condition: evt.type in (open, openat, openat2) and fd.name=/etc/shadow and evt.is_open_read=true
	  output: "%proc.name read %fd.name as %user.name, child of %proc.pname (%evt.res)"
	  priority: WARNING
	- rule: Everything is watched
	  desc: A rule that names no type of event takes all that the kernel has.
	  condition: proc.name=nobody.is.called.so
	  output: "%proc.name"
	  priority: WARNING
	END
	alert='cat read /etc/shadow as root, child of sh (SUCCESS)'
	/guest/peregrine -c falco.yaml -r rules.yaml -w act.scap >live.txt 2>log.txt &
	saw log.txt Watching || return 1
	act >/dev/null
	saw live.txt "$alert" || return 1
	kill -INT $!
	wait $! || return 1
	/guest/peregrine -c falco.yaml -r rules.yaml -o engine.kind=replay -o engine.replay.capture_file=act.scap >replay.txt 2>&1 || return 1
	saw replay.txt "$alert" || return 1
	echo "fact alert=$(grep -c "$alert" live.txt)"
}

case $1 in
load) PEREGRINE_HOOK_PLAN=sys_exit exec /guest/load --nocapture ;;
load-fexit) PEREGRINE_HOOK_PLAN=per_syscall exec /guest/load --nocapture ;;
events) PEREGRINE_HOOK_PLAN=sys_exit exec /guest/events ;;
events-fexit) PEREGRINE_HOOK_PLAN=both exec /guest/events ;;
prototypes) exec /guest/events hooks ;;
live) exec /guest/live --test-threads=1 --nocapture --skip a_flood ;;
flood) exec /guest/live --nocapture a_flood ;;
overhead) exec /guest/overhead ;;
program) program; exit ;;
esac

# systemd is to be the first program.
[ "$CHECKS" != service ] || exec /bin/busybox sh /service.sh

/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# A security module of 5.10 looks for programs without a name there.
ln -s /proc/self/fd /dev/fd
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmp /tmp
echo root:x:0:0:root:/tmp:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group
echo root:*:20000:0:99999:7::: >/etc/shadow
ip link set lo up
for module in /modules/*.ko; do
	[ -e "$module" ] && insmod "$module"
done

# The firmware ends without a new line.
echo
echo "@@ kernel $(uname -r)"
for check in $(echo "$CHECKS" | tr , ' '); do
	echo "@@ start $check"
	read -r before _ </proc/uptime
	timeout -s KILL "$LIMIT" sh /init "$check" 2>&1 </dev/null
	status=$?
	read -r after _ </proc/uptime
	echo "@@ end $check $status $before $after"
done
dmesg | grep -E 'WARNING:|BUG:|Oops|refcount' | sed 's/^/@@ complaint /'
echo @@ off
poweroff -f
