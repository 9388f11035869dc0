#!/usr/bin/env python3
"""Makes the captures that benchmarks replay: live recordings of loads of our own.

    sudo benches/record.py --bin target/release/peregrine DIRECTORY [opens] [forkexec] [tcp] [mixed]

opens     a million opens of files, of which half are there (and are closed)
forkexec  ten thousand children that run another program
tcp       sixty thousand connections over loopback that carry one byte each
mixed     shell, compiler, tar, git and python, as when a small program is built

The loads run in a control group that is made for them, and that alone is watched. A recording that has lost an event
is made again.
"""
import argparse, os, re, signal, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOTS = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]

# All that the rules people have are about; the state adds what it needs. The condition is never true.
RULES = """\
- rule: all
  desc: What is recorded.
  condition: >
    evt.type in (accept, accept4, bpf, chmod, connect, creat, dup, dup2, dup3, execve, execveat, fchmod, fchmodat,
      finit_module, init_module, link, linkat, listen, mkdir, mkdirat, open, openat, openat2, ptrace, recvfrom, recvmsg,
      rename, renameat, renameat2, rmdir, sendmsg, sendto, setns, setuid, socket, symlink, symlinkat, unlink, unlinkat,
      unshare, userfaultfd)
    and evt.num < 0
  output: x
  priority: DEBUG
"""
CONFIG = """\
engine: {kind: modern_ebpf, modern_ebpf: {buf_size_preset: 8}}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
webserver: {enabled: false}
load_plugins: []
"""
THERE = ["/etc/hosts", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/bin/true", "/usr/bin/env", "/dev/null", "/proc/self/status", "/tmp"]
MISSING = ["/etc/no.conf", "/etc/ssl/missing.cnf", "/usr/lib/libmissing.so.1", "/usr/local/lib/libmissing.so.1",
           "/root/.missing", "/var/lib/missing/data", "/tmp/missing", "missing.h"]
# Batches with a pause after each, so that the recorder keeps up.
REPEAT = 'for i in $(seq {1}); do "$LOAD" {0} >/dev/null; sleep 0.02; done'
PATHS = " ".join(path for pair in zip(THERE, MISSING) for path in pair)
MIXED = """
set -e
for i in $(seq 60); do
    mkdir work && cd work
    for n in 1 2 3 4; do cp "$SOURCE" part$n.c; done
    for n in 1 2 3 4; do gcc -O1 -Dmain=main$n -c part$n.c; done
    gcc -o load "$SOURCE" && ./load tcp 1 50 >/dev/null && ./load open 1 50 >/dev/null
    tar -czf ../work.tar.gz . && mkdir copy && tar -xzf ../work.tar.gz -C copy
    git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -q -m a && git status -s && git gc -q
    python3 -c 'import json, subprocess, email.message, http.client, asyncio; subprocess.run(["ls", "-lR"], stdout=-3)'
    find . -name '*.c' | xargs grep -l main | sort >/dev/null
    grep -rl nothing-of-this /usr/lib/python3 || true
    cd .. && rm -rf work work.tar.gz
done
"""
LOADS = {
    "opens": REPEAT.format(f"open 1 20000 {PATHS}", 50),
    "forkexec": REPEAT.format("exec 1 500", 20),
    "tcp": REPEAT.format("tcp 1 1000", 60),
    "mixed": MIXED,
}


class Group:
    """A control group for the loads."""

    def __enter__(self):
        root = next((root for root in ROOTS if os.path.exists(f"{root}/cgroup.controllers")), None)
        if root is None or os.geteuid() != 0:
            sys.exit("recording takes root and a cgroup v2 file system")
        self.path = f"{root}/peregrine-record-{os.getpid()}"
        os.mkdir(self.path)
        return self

    def enter(self):
        """Called in a child, before it becomes the load."""
        with open(f"{self.path}/cgroup.procs", "w") as procs:
            procs.write(str(os.getpid()))

    def __exit__(self, *_):
        for _ in range(50):
            try:
                return os.rmdir(self.path)
            except OSError:
                time.sleep(0.02)


def record(options, group, scratch, capture, load):
    """Records one load; the number of events, and of those that were lost."""
    for name, text in (("falco.yaml", CONFIG), ("rules.yaml", RULES), ("load.sh", load)):
        with open(f"{scratch}/{name}", "w") as file:
            file.write(text)
    watcher = subprocess.Popen(
        [os.path.abspath(options.bin), "-v", "-c", "falco.yaml", "-r", "rules.yaml", "-w", os.path.abspath(capture),
         "-o", f"engine.modern_ebpf.scope.cgroup={group.path}"],
        cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in watcher.stderr:
        if "Watching control group" in line:
            break
    else:
        sys.exit("the recorder does not start")
    environment = {"PATH": os.environ["PATH"], "LOAD": f"{scratch}/load", "SOURCE": f"{HERE}/load.c", "HOME": scratch}
    loaded = subprocess.run(["bash", "load.sh"], cwd=scratch, env=environment, preexec_fn=group.enter)
    time.sleep(1)
    watcher.send_signal(signal.SIGTERM)
    log = watcher.stderr.read()
    if watcher.wait() or loaded.returncode:
        sys.exit(f"recording failed: {log}")
    return tuple(int(re.search(rf"Driver {what}:(\d+)", log)[1]) for what in ("Events", "Drops"))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bin", default="target/release/peregrine")
    options.add_argument("directory")
    options.add_argument("loads", nargs="*", metavar="LOAD")
    options = options.parse_args()
    unknown = set(options.loads) - LOADS.keys()
    if unknown:
        sys.exit(f"there is no load {', '.join(unknown)}")
    os.makedirs(options.directory, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, Group() as group:
        subprocess.run(["cc", "-O2", "-o", f"{scratch}/load", f"{HERE}/load.c"], check=True)
        for name in options.loads or LOADS:
            capture = f"{options.directory}/{name}.scap"
            for _ in range(5):
                events, lost = record(options, group, scratch, capture, LOADS[name])
                print(f"{capture}: {events} events, {lost} lost, {os.path.getsize(capture) >> 20} MB", flush=True)
                if lost == 0:
                    break


main()
