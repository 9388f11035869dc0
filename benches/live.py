#!/usr/bin/env python3
"""The cost of monitoring: the same loads with and without the engine, alternating, as a table.

    benches/live.py [--rules a.yaml,b.yaml] [--rounds 5] [--flood N | --burst N] [--beside COMMAND]

Needs root, cgroup v2 and two CPUs: the loads (benches/load.c) run in a control group of their own on the first, the
engine watches that group from the second. Minima of many short batches count, as other work on the machine only ever
adds. Programs that others have attached would be in all figures, so the rounds wait for them to go away.

--beside measures another engine in the same rounds: COMMAND runs it in the foreground until it gets SIGTERM, and it counts
as started when it holds links of BPF programs. It sees the whole machine, so let it discard what it has to say.
"""
import argparse, atexit, json, os, select, shlex, shutil, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
# Acts, batches in a round, acts in a batch, system calls in an act that make events.
LOADS = [("getppid", 200, 2000), ("openfail", 100, 1000), ("open", 100, 1000), ("dup", 200, 1000),
         ("fork", 40, 25), ("exec", 30, 10), ("tcp", 60, 50)]
CONFIG = """\
engine:
  kind: modern_ebpf
  modern_ebpf: {{buf_size_preset: {preset}, cpus_for_each_buffer: {share}, scope: {{cgroup: {group}}}}}
stdout_output: {{enabled: true}}
log_stderr: true
log_syslog: false
webserver: {{enabled: false}}
load_plugins: [container]
plugins: [{{name: container, library_path: libcontainer.so}}]
"""
MARK = "peregrine-live-mark"
MARKER = f"""
- rule: Mark
  desc: tells when the engine has begun to see
  condition: evt.type in (open, openat) and fd.name endswith {MARK}
  output: {MARK} seen
  priority: INFO
"""


def cgroup():
    """A new cgroup, removed when this program ends."""
    mounts = [line.split() for line in open("/proc/mounts")]
    mount = next((m[1] for m in mounts if m[2] == "cgroup2"), None) or sys.exit("there is no cgroup v2")
    path = os.path.join(mount, f"peregrine-live-{os.getpid()}")
    os.mkdir(path)

    def remove():
        for _ in range(100):
            try:
                return os.rmdir(path)
            except OSError:
                time.sleep(0.05)
    atexit.register(remove)
    return path


class Bench:
    def __init__(self, options):
        self.options, self.group = options, cgroup()
        self.scratch = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, self.scratch)
        self.load = os.path.join(self.scratch, "load")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", self.load, f"{HERE}/load.c"], check=True)
        self.config = self.file("falco.yaml", CONFIG.format(
            preset=options.preset, share=options.cpus_per_ring, group=self.group) + "".join(
                line + "\n" for line in options.config))
        marker = self.file("marker.yaml", MARKER)
        self.rules = [marker] + (options.rules.split(",") if options.rules else [])

    def file(self, name, text):
        path = os.path.join(self.scratch, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def watched(self, args, cpu=0, **how):
        """Starts a program in the cgroup."""
        def enter():
            os.sched_setaffinity(0, {cpu})
            with open(f"{self.group}/cgroup.procs", "w") as procs:
                procs.write(str(os.getpid()))
        return subprocess.Popen(args, preexec_fn=enter, stdin=subprocess.DEVNULL, **how)

    def measure(self, act, batches, count):
        """Nanoseconds per act in the fastest batch."""
        out, _ = self.watched([self.load, act, str(batches), str(count)], stdout=subprocess.PIPE).communicate()
        return float(out.split()[0])


class Engine:
    """The engine, from start to end, and its resource usage."""

    def __init__(self, bench):
        options = bench.options
        mark = bench.file(MARK, "")
        actor = bench.watched(["sh", "-c", f"while :; do : <{mark}; sleep 0.002; done"])
        started = time.monotonic()
        self.child = subprocess.Popen(
            [options.bin, "-v", "-c", bench.config] + [w for r in bench.rules for w in ("-r", r)],
            preexec_fn=lambda: os.sched_setaffinity(0, {1}), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=open(bench.file("log", ""), "w"))
        self.log = f"{bench.scratch}/log"
        seen = b""
        while MARK.encode() not in seen:
            if not select.select([self.child.stdout], [], [], 20)[0] or self.child.poll() is not None:
                actor.kill()
                sys.exit("the engine does not see anything:\n" + open(self.log).read())
            seen += os.read(self.child.stdout.fileno(), 1 << 16)
        self.start = time.monotonic() - started
        actor.kill()
        actor.wait()
        time.sleep(0.3)

    def cpu(self):
        """CPU time of all threads, nanoseconds."""
        tasks = f"/proc/{self.child.pid}/task"
        return sum(int(open(f"{tasks}/{tid}/schedstat").read().split()[0]) for tid in os.listdir(tasks))

    def memory(self):
        """Megabytes resident: all, anonymous, the rest."""
        lines = (line.split() for line in open(f"/proc/{self.child.pid}/status"))
        of = {line[0]: int(line[1]) / 1024 for line in lines if line[0].startswith(("VmRSS", "Rss", "VmHWM"))}
        return of["VmRSS:"], of["RssAnon:"], of["VmHWM:"]

    def stop(self):
        """Events that occurred, and events lost."""
        self.child.terminate()
        while select.select([self.child.stdout], [], [], 20)[0] and os.read(self.child.stdout.fileno(), 1 << 16):
            pass
        self.child.wait()
        told = dict(line.split(":", 1) for line in open(self.log) if line.startswith("Driver "))
        return int(told["Driver Events"]), int(told["Driver Drops"])


class Other:
    """Another engine, from the moment its programs are attached to its end."""

    def __init__(self, command):
        self.child = subprocess.Popen(
            shlex.split(command), preexec_fn=lambda: os.sched_setaffinity(0, {1}), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(400):
            if self.child.poll() is not None:
                sys.exit(f"{command} has ended")
            if self.links() >= 3:
                return time.sleep(1)
            time.sleep(0.05)
        self.stop()
        sys.exit(f"{command} attaches nothing")

    def links(self):
        """Number of BPF links it holds."""
        count = 0
        for name in os.listdir(f"/proc/{self.child.pid}/fdinfo"):
            try:
                count += "link_type:" in open(f"/proc/{self.child.pid}/fdinfo/{name}").read()
            except OSError:
                pass  # closed meanwhile
        return count

    def stop(self):
        self.child.terminate()
        self.child.wait()


def wait_for_others():
    """Waits until no other BPF program traces system calls; reports if that takes too long."""
    if not shutil.which("bpftool"):
        return
    for _ in range(20):
        out = subprocess.run(["bpftool", "-j", "prog", "list"], capture_output=True).stdout
        types = [prog.get("type") for prog in json.loads(out or "[]")]
        if not any(t in ("tracing", "tracepoint", "raw_tracepoint") for t in types):
            return
        time.sleep(0.1)
    print("others have programs attached: ratios are too small", file=sys.stderr)


def ratios(bench):
    off, on, other, cpu, lost, starts, memory = {}, {}, {}, {}, {}, [], []
    beside = bench.options.beside

    def least(of, act, value):
        of[act] = min(of.get(act, 1e18), value)
    # In a round: without, with, with the other; the first round warms all up.
    for _ in range(bench.options.rounds):
        wait_for_others()
        for load in LOADS:
            least(off, load[0], bench.measure(*load))
        for act, batches, count in LOADS:
            wait_for_others()
            engine = Engine(bench)
            starts.append(engine.start)
            before = engine.cpu()
            least(on, act, bench.measure(act, batches, count))
            time.sleep(0.1)
            least(cpu, act, (engine.cpu() - before) / batches / count)
            memory.append(engine.memory())
            lost[act] = lost.get(act, 0) + engine.stop()[1]
        for load in LOADS if beside else []:
            wait_for_others()
            engine = Other(beside)
            least(other, load[0], bench.measure(*load))
            engine.stop()
    columns = ["act", "ns alone", "ns watched", "ratio", "engine µs per act", "lost"]
    columns += ["ns by the other", "ratio of the other"] if beside else []
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for act, _, _ in LOADS:
        row = [act, f"{off[act]:.0f}", f"{on[act]:.0f}", f"×{on[act] / off[act]:.2f}", f"{cpu[act] / 1000:.2f}", str(lost[act])]
        row += [f"{other[act]:.0f}", f"×{other[act] / off[act]:.2f}"] if beside else []
        print("| " + " | ".join(row) + " |")
    all_, anon, peak = max(memory)
    print(f"\nstart to first alert {min(starts):.2f}–{max(starts):.2f} s; "
          f"resident {all_:.1f} MB, of which anonymous {anon:.1f} MB; peak {peak:.1f} MB")


def flood(bench):
    """More and more loads at once until events are lost; each pauses so that the rate grows in steps."""
    print("| loads at once | CPUs | events/s | lost |\n|---|---|---|---|")
    for loads in range(1, bench.options.flood + 1):
        wait_for_others()
        engine = Engine(bench)
        began = time.monotonic()
        all_ = [bench.watched([bench.load, "openfail", "1", "1000000"], cpu=i % 2, stdout=subprocess.DEVNULL)
                for i in range(loads)]
        for each in all_:
            each.wait()
        took = time.monotonic() - began
        time.sleep(0.5)
        events, lost = engine.stop()
        print(f"| {loads} | {min(loads, 2)} | {events / took:.0f} | {lost} ({lost / max(events, 1):.1%}) |", flush=True)


def burst(bench):
    """A number of opens as fast as one CPU can issue them."""
    count = bench.options.burst
    print("| opens | per second | lost | engine µs per event |\n|---|---|---|---|")
    for act, events in (("openfail", count), ("open", 2 * count)):
        wait_for_others()
        engine = Engine(bench)
        before, began = engine.cpu(), time.monotonic()
        bench.watched([bench.load, act, "1", str(count)], stdout=subprocess.DEVNULL).wait()
        took = time.monotonic() - began
        time.sleep(0.5)
        cpu = (engine.cpu() - before) / events / 1000
        _, lost = engine.stop()
        print(f"| {count} × {act} | {count / took:.0f} | {lost} | {cpu:.2f} |", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bin", default="target/release/peregrine")
    options.add_argument("--rules", help="comma-separated files [default: the built-in rules]")
    options.add_argument("--config", action="append", default=[], help="more lines of configuration")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--preset", type=int, default=4)
    options.add_argument("--cpus-per-ring", type=int, default=2)
    options.add_argument("--flood", type=int, default=0, metavar="N", help="instead: up to N loads of failing opens at once")
    options.add_argument("--burst", type=int, default=0, metavar="N", help="instead: N opens in one go from one CPU")
    options.add_argument("--beside", metavar="COMMAND", help="another engine to be measured in the same rounds")
    options.add_argument("--act", help="comma-separated names of the loads to run")
    options = options.parse_args()
    if options.act:
        LOADS[:] = [load for load in LOADS if load[0] in options.act.split(",")]
    if options.rules is None:
        options.rules = f"{HERE}/../crates/wiring/assets/rules.yaml"
    bench = Bench(options)
    (flood if options.flood else burst if options.burst else ratios)(bench)


main()
