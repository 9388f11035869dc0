#!/bin/busybox sh
# The check `service`: systemd starts, reloads and ends the program with the unit of packaging/systemd. Without a word,
# this prepares a machine for systemd and becomes systemd, which runs it again with the word `check`.

say() {
	echo "$@"
	[ -z "$2" ] || sed 's/^/  /' "$2"
}

# Waits until a file has a line.
saw() {
	for i in $(seq 300); do
		grep -q -- "$2" "$1" 2>/dev/null && return 0
		sleep 0.2
	done
	say "no \"$2\" in $1:" "$1"
	return 1
}

is() {
	local is
	is=$(systemctl show --property="$1" --value peregrine)
	case $is in
	$2) ;;
	*) echo "$1 is \"$is\" and not \"$2\""; return 1 ;;
	esac
}

# A file that the rule of this machine is about.
act() {
	cat /etc/shadow >/dev/null
}

check() {
	alerts=/var/log/alerts.json
	systemctl start peregrine || return 1
	is ActiveState active && is SubState running && is NRestarts 0 || return 1
	is StatusText "* events/s, 0 lost; 1 rules; *" || return 1
	act
	saw $alerts '"rule":"Shadow read"' || return 1

	# Rules of new system calls: hooks are attached with what the unit has left.
	cat >>/etc/falco/rules.yaml <<-END
	- rule: Directory made
	  desc: d
	  condition: evt.type in (mkdir, mkdirat) and evt.arg.path contains made-by-check
	  output: "%proc.name made %evt.arg.path"
	  priority: WARNING
	END
	systemctl reload peregrine || return 1
	for i in $(seq 100); do
		is StatusText "*; 2 rules; *" >/dev/null && break
		sleep 0.2
	done
	is ActiveState active && is StatusText "*; 2 rules; *" || return 1
	mkdir /tmp/made-by-check
	saw $alerts '"rule":"Directory made"' || return 1

	# Alerts follow the clock. The kernel side looks at it once a second.
	date -s '2031-02-03 04:05:06' >/dev/null
	sleep 3
	act
	saw $alerts '"time":"2031-02-03T04:05:' || return 1
	is ActiveState active && is NRestarts 0 || return 1

	# Killed, it is started again; on a slow machine it may take more than one attempt.
	systemctl kill --signal=KILL --kill-who=main peregrine
	for i in $(seq 300); do
		is NRestarts '[1-9]' >/dev/null && is ActiveState active >/dev/null && break
		sleep 0.2
	done
	is NRestarts '[1-9]' && is ActiveState active && is SubState running || return 1
	rm $alerts
	systemctl kill --signal=USR1 --kill-who=main peregrine
	sleep 1
	act
	saw $alerts '"rule":"Shadow read"' || return 1

	pid=$(systemctl show --property=MainPID --value peregrine)
	echo "fact capabilities=$(sed -n 's/^CapEff:.*\(..........\)$/\1/p' "/proc/$pid/status")"
	systemctl stop peregrine || return 1
	is ActiveState inactive && is Result success && is ExecMainStatus 0 || return 1
	journalctl --quiet --no-pager --unit=peregrine --priority=warning >/tmp/warnings
	# These are about the restart.
	grep -vE 'Main process exited, code=(killed, status=9|exited, status=1)|Failed with result .(signal|exit-code).' /tmp/warnings >/tmp/unexpected
	[ ! -s /tmp/unexpected ] || { say "warnings in the journal:" /tmp/unexpected; return 1; }
}

if [ "$1" = check ]; then
	export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/tmp
	if [ "$2" = limited ]; then
		check
		exit
	fi
	ip link set lo up
	echo
	echo "@@ kernel $(uname -r)"
	echo "@@ start service"
	read -r before _ </proc/uptime
	timeout -s KILL "$LIMIT" sh /service.sh check limited 2>&1 </dev/null
	status=$?
	read -r after _ </proc/uptime
	[ $status = 0 ] || journalctl --no-pager | tail -80
	echo "@@ end service $status $before $after"
	dmesg | grep -E 'WARNING:|BUG:|Oops|refcount' | sed 's/^/@@ complaint /'
	echo @@ off
	poweroff -f
fi

/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /etc/falco /etc/systemd/system /usr/bin /run /var/log /var/lib /root /home
mv /guest/peregrine /usr/bin/peregrine
echo root:x:0:0:root:/root:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group
echo root:*:20000:0:99999:7::: >/etc/shadow
echo 6d616368696e656964206f6620746573 >/etc/machine-id
cat >/etc/falco/falco.yaml <<END
# An emulated machine takes a minute to detach hooks of single functions.
engine: {kind: modern_ebpf, modern_ebpf: {hooks: sys_exit}}
rules_files: [/etc/falco/rules.yaml]
json_output: true
file_output: {enabled: true, keep_alive: true, filename: /var/log/alerts.json}
log_stderr: true
log_syslog: false
watch_config_files: false
END
cat >/etc/falco/rules.yaml <<END
- rule: Shadow read
  desc: A program reads the file of passwords.
  condition: evt.type in (open, openat, openat2) and fd.name=/etc/shadow and evt.is_open_read=true
  output: "%proc.name read %fd.name as %user.name (%evt.res)"
  priority: WARNING
END
cat >/etc/systemd/system/check.service <<END
[Unit]
Wants=systemd-journald.service

[Service]
Type=oneshot
Environment=LIMIT=$LIMIT
ExecStart=/bin/sh /service.sh check
StandardOutput=tty
TTYPath=/dev/console
END
exec /lib/systemd/systemd --unit=check.service --show-status=0 --log-target=journal
