#!/usr/bin/env python3
"""How fast captures are replayed: events per second, CPU seconds per million events and peak memory, as a table.

    benches/replay.py --bin target/release/peregrine --rules a.yaml --rules a.yaml,b.yaml CAPTURE|DIRECTORY…

Each --rules is one set: files or directories with commas between them, all of whose rules are enabled. `never` stands
for one rule that never matches; it is always measured. A directory stands for all captures in it, such as those that
record.py makes. The best of --runs counts; CPU time is that of the process, so that a busy machine disturbs less.
Loading the rules is part of it.
"""
import argparse, glob, os, re, subprocess, sys, tempfile

CONFIG = """\
rules_files: []
stdout_output: {enabled: true}
engine: {kind: replay}
log_stderr: false
log_syslog: false
webserver: {enabled: false}
load_plugins: [container]
plugins: [{name: container, library_path: libcontainer.so}]
rules: [{enable: {rule: "*"}}]
"""
RULE = "- {{rule: {0}, desc: {0}, condition: {1}, output: x, priority: INFO}}\n"
NEVER = RULE.format("never", "evt.type = open and proc.name = neverever and fd.name = nothing")
EVERY = RULE.format("every", "evt.num > 0")


def run(args, output):
    """Runs a command; CPU seconds and peak memory in MB."""
    child = subprocess.Popen(args, stdout=output, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(args)}: failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bin", default="target/release/peregrine")
    options.add_argument("--rules", action="append", default=[])
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("captures", nargs="+")
    options = options.parse_args()
    captures = [capture for path in options.captures
                for capture in (sorted(glob.glob(f"{path}/*.scap")) if os.path.isdir(path) else [path])]
    with tempfile.TemporaryDirectory() as scratch:
        def file(name, text):
            path = os.path.join(scratch, name)
            with open(path, "w") as out:
                out.write(text)
            return path

        config = file("falco.yaml", CONFIG)
        never, every = file("never.yaml", NEVER), file("every.yaml", EVERY)

        def replay(capture, rules, output):
            args = [options.bin, "-c", config, "-o", f"engine.replay.capture_file={capture}"]
            return run(args + [word for path in rules for word in ("-r", path)], output)

        def count(capture):
            with tempfile.TemporaryFile() as out:
                replay(capture, [every], out)
                out.seek(max(0, out.tell() - 4096))
                found = re.search(rb"Events detected: (\d+)", out.read())
            return int(found[1]) if found else sys.exit(f"{capture}: no events")

        works = [(capture, rules) for capture in captures
                 for rules in [[never]] + [each.split(",") for each in options.rules]]
        # Alternate, so that other load does not hit one of them only.
        rounds = [[replay(*work, subprocess.DEVNULL) for work in works] for _ in range(options.runs)]
        events = {capture: count(capture) for capture in captures}
        print("| capture | rules | events | events/s | CPU s per M events | peak MB |\n|---|---|---|---|---|---|")
        for (capture, rules), runs in zip(works, zip(*rounds)):
            cpu, memory = min(cpu for cpu, _ in runs), max(memory for _, memory in runs)
            name = "never" if rules == [never] else "+".join(os.path.basename(path.rstrip("/")) for path in rules)
            number = events[capture]
            print(f"| {os.path.basename(capture)} | {name} | {number} | {number / cpu / 1e6:.2f} M | "
                  f"{cpu / number * 1e6:.3f} | {memory:.0f} |")


main()
